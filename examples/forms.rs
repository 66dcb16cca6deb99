//! A form, and its values.
//!
//!     cargo run --example forms     # then open http://localhost:8000/ in a browser

use nethttp::{Request, ResponseWriter, Result, ServeMux, listen_and_serve};

const FORM: &str = "<!doctype html><form method=post><input name=name><button>Greet</button></form>\n";

async fn form(w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    w.header().set("Content-Type", "text/html; charset=utf-8");
    w.write(FORM).await
}

async fn greet(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let name = r.post_form_value("name").await.unwrap_or_default();
    // As plain text, so that a name is never read as HTML.
    w.header().set("Content-Type", "text/plain; charset=utf-8");
    w.write(format!("Hello, {name}\n")).await
}

#[tokio::main]
async fn main() -> Result<()> {
    let addr = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8000".to_owned());
    let mux = ServeMux::new();
    mux.handle("GET /{$}", form);
    mux.handle("POST /{$}", greet);
    listen_and_serve(addr, mux).await
}
