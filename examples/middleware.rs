//! Middleware around a mux, a group of routes and one handler, and a mux in a mux.
//!
//!     cargo run --example middleware & curl -i -H 'X-Key: secret' localhost:8000/admin/report

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use nethttp::{
    Error, Handler, Middleware, Next, Request, ResponseWriter, Result, ServeMux, StatusCode, listen_and_serve,
    middleware,
};

/// A function is a middleware: what runs before `next`, what runs after it.
async fn log(w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
    let began = Instant::now();
    let result = next.run(w, r).await;
    println!("{} {} by {:?} in {:?}", r.method, r.request_uri, r.pattern, began.elapsed());
    result
}

/// So is a struct, which has settings.
struct RequireKey(&'static str);

impl Middleware for RequireKey {
    async fn handle(&self, w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
        if r.header.get("X-Key") != Some(self.0) {
            return Err(Error::answer(StatusCode::UNAUTHORIZED, "a key is needed"));
        }
        next.run(w, r).await
    }
}

/// So is a function with a state.
async fn number(n: &AtomicU64, w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
    w.header().set("X-Request-Number", (n.fetch_add(1, Ordering::Relaxed) + 1).to_string());
    next.run(w, r).await
}

async fn user(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    w.write(format!("user {}\n", r.path_value("id"))).await
}

async fn report(w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    w.write("all is well\n").await
}

/// A part of the application that does not know where it is mounted.
fn admin() -> ServeMux {
    let mux = ServeMux::new();
    mux.wrap(RequireKey("secret"));
    mux.handle("GET /report", report);
    mux.handle("GET /users/{id}.json", async |w: &mut ResponseWriter, r: &mut Request| {
        w.write(format!("{{\"id\": {:?}}}\n", r.path_value("id"))).await
    });
    mux
}

#[tokio::main]
async fn main() -> Result<()> {
    let addr = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8000".to_owned());
    let mux = ServeMux::new();
    // Around everything, 404 and 405 too. The first is the outermost.
    mux.wrap(log);
    mux.wrap(middleware::with_state(AtomicU64::new(0), number));

    // Around some routes, with the pattern known.
    let api = mux.group("/api");
    api.wrap(async |w: &mut ResponseWriter, r: &mut Request, next: Next<'_>| {
        w.header().set("Cache-Control", "no-store");
        next.run(w, r).await
    });
    api.handle("GET /users/{id}", user);

    // Around one handler.
    mux.handle("GET /private", report.wrapped_in(RequireKey("secret")));
    mux.mount("/admin", &admin());

    for route in mux.routes() {
        println!("{route}");
    }
    listen_and_serve(addr, mux).await
}
