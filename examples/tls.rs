//! HTTPS, and HTTP/2 with clients that support it: a certificate and its key are enough.
//!
//! ```sh
//! openssl req -x509 -newkey ed25519 -nodes -keyout key.pem -out cert.pem -days 30 -subj /CN=localhost
//! cargo run --example tls -- cert.pem key.pem & curl -k https://localhost:8443/
//! ```

use nethttp::{Error, Request, ResponseWriter, Result, ServeMux, listen_and_serve_tls};

async fn hello(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    w.write(format!("Hello over {:?}\n", r.proto)).await
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(certificate), Some(key)) = (arguments.next(), arguments.next()) else {
        return Err(Error::other("usage: tls CERTIFICATE KEY [ADDRESS]"));
    };
    let addr = arguments.next().unwrap_or_else(|| "127.0.0.1:8443".to_owned());
    let mux = ServeMux::new();
    mux.handle("/", hello);
    listen_and_serve_tls(addr, certificate, key, mux).await
}
