//! Files that come in a form: small ones stay in memory, large ones wait in temporary files that are gone
//! with the request.
//!
//!     cargo run --example upload & curl -F 'file=@Cargo.toml' localhost:8000/

use nethttp::middleware::max_bytes_handler;
use nethttp::{Request, ResponseWriter, Result, ServeMux, listen_and_serve};

/// The memory that all files of one request may take.
const MAX_MEMORY_BYTES: u64 = 1 << 20;

/// The largest request. A larger one is answered with 413.
const MAX_UPLOAD_BYTES: u64 = 1 << 30;

async fn upload(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let form = r.multipart_form(MAX_MEMORY_BYTES).await?;
    let mut said = String::new();
    for (field, file) in form.all_files() {
        // A file is read as a body is: piece by piece.
        let (mut content, mut length) = (file.open(), 0);
        while let Some(chunk) = content.chunk().await? {
            length += chunk.len();
        }
        said += &format!("{field}: {length} bytes\n");
    }
    w.write(said).await
}

#[tokio::main]
async fn main() -> Result<()> {
    let addr = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8000".to_owned());
    let mux = ServeMux::new();
    mux.handle("POST /", max_bytes_handler(upload, MAX_UPLOAD_BYTES));
    listen_and_serve(addr, mux).await
}
