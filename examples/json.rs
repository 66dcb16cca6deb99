//! JSON in and JSON out, with types of your own.
//!
//!     cargo run --example json & curl -d '[1, 2, 3]' localhost:8000/sum

use std::collections::BTreeMap;

use nethttp::{IntoResponse, Json, Request, ResponseWriter, Result, ServeMux, listen_and_serve};

async fn sum(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    // Anything but a list of numbers is an error, which the server answers with 400. A type that
    // derives serde's `Deserialize` works as well.
    let numbers: Vec<f64> = r.body.json().await?;
    let sum = numbers.iter().sum::<f64>();
    w.send(Json(BTreeMap::from([("count", numbers.len() as f64), ("sum", sum)])).into_response()).await
}

#[tokio::main]
async fn main() -> Result<()> {
    let addr = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8000".to_owned());
    let mux = ServeMux::new();
    mux.handle("POST /sum", sum);
    listen_and_serve(addr, mux).await
}
