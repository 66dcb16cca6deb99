//! What becomes of errors: of a peer, of the application, and of the program itself.
//!
//!     cargo run --example errors & curl -i localhost:8000/halve/7

use std::sync::Arc;

use nethttp::server::problem_details;
use nethttp::{IntoResponse, Request, Response, ResponseWriter, Result, ServeMux, Server, StatusCode};

/// An error of the application: what it answers is its own.
struct Odd(u32);

impl IntoResponse for Odd {
    fn into_response(self) -> Response {
        let content = format!("{} is odd\n", self.0);
        Response::new(content).with_status(StatusCode::UNPROCESSABLE_ENTITY).with_header("X-Hint", "even numbers only")
    }
}

async fn halve(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    // The peer's fault: 400, with a text that names the field.
    let number: u32 = r.path_parse("number")?;
    if number % 2 == 1 {
        return Err(Odd(number).into());
    }
    w.write(format!("{}\n", number / 2)).await
}

async fn motd(w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    // The program's fault: a plain 500 for the peer, and the cause goes to the log.
    w.write(std::fs::read("/no/such/file")?).await
}

#[tokio::main]
async fn main() -> Result<()> {
    let addr = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8000".to_owned());
    let mux = ServeMux::new();
    mux.handle("GET /halve/{number}", halve);
    mux.handle("GET /motd", motd);
    let mut server = Server::new(mux);
    server.addr = addr;
    // Errors without a response of their own, those of the server and the mux too, are JSON (RFC 9457).
    server.on_error = Some(Arc::new(problem_details));
    server.listen_and_serve().await
}
