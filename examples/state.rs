//! Shared state: a struct that is a handler, and functions with a state.
//!
//!     cargo run --example state & curl -X PUT -d hello localhost:8000/notes/a; curl localhost:8000/notes

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use nethttp::{
    Error, Handler, IntoResponse, Json, Request, ResponseWriter, Result, ServeMux, StatusCode, handle_with,
    listen_and_serve,
};

#[derive(Default)]
struct Notes(Mutex<BTreeMap<String, String>>);

async fn put(notes: &Arc<Notes>, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let text = r.body.text().await?;
    notes.0.lock().expect("no holder panics").insert(r.path_value("name").to_owned(), text);
    w.send(StatusCode::CREATED.into_response()).await
}

async fn get(notes: &Arc<Notes>, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let note = notes.0.lock().expect("no holder panics").get(r.path_value("name")).cloned();
    w.write(note.ok_or_else(|| Error::answer(StatusCode::NOT_FOUND, "no such note"))?).await
}

async fn list(notes: &Arc<Notes>, w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    let notes = notes.0.lock().expect("no holder panics").clone();
    w.send(Json(notes).into_response()).await
}

/// A handler that is a struct: it counts its own calls.
struct Visits(AtomicU64);

impl Handler for Visits {
    async fn serve_http(&self, w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
        w.write(format!("visit {}\n", self.0.fetch_add(1, Ordering::Relaxed) + 1)).await
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let addr = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8000".to_owned());
    let notes = Arc::new(Notes::default());
    let mux = ServeMux::new();
    mux.handle("PUT /notes/{name}", handle_with(notes.clone(), put));
    mux.handle("GET /notes/{name}", handle_with(notes.clone(), get));
    mux.handle("GET /notes", handle_with(notes, list));
    mux.handle("GET /visits", Visits(AtomicU64::new(0)));
    listen_and_serve(addr, mux).await
}
