//! What stands around a service on the internet: who the client is, what browsers may do, how much is too much.
//!
//!     cargo run --example protected & curl -i -u ada:sesame localhost:8000/notes

use std::sync::Mutex;
use std::time::Duration;

use nethttp::middleware::{
    Authentication, BodyLimit, ConcurrencyLimit, Cors, CrossOriginProtection, Identity, PanicPolicy, RateLimit,
    RequestId, SecurityHeaders, TrustedProxies,
};
use nethttp::{Method, Request, ResponseWriter, Result, ServeMux, StatusCode, handle_with, listen_and_serve};

type Notes = Mutex<Vec<String>>;

async fn list(notes: &&Notes, w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    let lines = notes.lock().expect("no handler panics with it").join("\n");
    w.write(lines + "\n").await
}

async fn add(notes: &&Notes, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let text = r.body.text().await?;
    // `Authentication` has put it there.
    let name = r.extensions.get::<Identity>().map_or("nobody", |identity| &identity.name);
    notes.lock().expect("no handler panics with it").push(format!("{name}: {}", text.trim()));
    w.write_header(StatusCode::CREATED);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let addr = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8000".to_owned());
    static NOTES: Notes = Mutex::new(Vec::new());
    let mux = ServeMux::new();
    mux.handle("GET /notes", handle_with(&NOTES, list));
    mux.handle("PUT /notes", handle_with(&NOTES, add));

    // From the outside in. Who the client is must be known before it is counted, and what is refused must carry the
    // fields with which a page can read that.
    mux.wrap(TrustedProxies::new(["127.0.0.1", "::1"]));
    mux.wrap(RequestId::new());
    mux.wrap(SecurityHeaders::new());
    mux.wrap(PanicPolicy::answer(|_: &str, _: &Request| (StatusCode::INTERNAL_SERVER_ERROR, "that was our fault\n")));
    mux.wrap(
        Cors::new()
            .allow_origin("https://app.example.com")
            .allow_methods([Method::PUT])
            .allow_headers(["Authorization", "Content-Type"])
            .max_age(Duration::from_secs(600)),
    );
    mux.wrap(CrossOriginProtection::new().trusted_origin("https://app.example.com"));
    mux.wrap(RateLimit::new(60, Duration::from_secs(60)).burst(10));
    mux.wrap(ConcurrencyLimit::new(100).queue(100, Duration::from_secs(2)));
    // A real program has hashes of passwords in a database, and asks it by `basic_by`.
    mux.wrap(Authentication::new("notes").basic_users([("ada", "sesame")]));
    mux.wrap(BodyLimit::new(4096));
    listen_and_serve(addr, mux).await
}
