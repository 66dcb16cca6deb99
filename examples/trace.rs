//! Gets a URL twice, and prints each step as it is taken: the second time the connection is there
//! already. At the end, how long each step took.
//!
//! ```sh
//! cargo run --example trace -- https://example.com/
//! ```

use std::io;
use std::sync::Arc;

use nethttp::net::{Addr, Resolved};
use nethttp::tls::TlsInfo;
use nethttp::trace::{ClientTrace, GotConn};
use nethttp::{Client, Error, Request, Result};

/// Each method is a step. Those that are left out do nothing.
struct Printed;

impl ClientTrace for Printed {
    fn get_conn(&self, host_port: &str) {
        println!("wants a connection to {host_port}");
    }

    fn dns_done(&self, host: &str, result: Result<&Resolved, &io::Error>) {
        println!("resolved {host}: {:?}", result.map(|resolved| &resolved.addrs));
    }

    fn connect_done(&self, addr: &Addr, result: Result<(), &io::Error>) {
        println!("connected to {addr}: {result:?}");
    }

    fn tls_handshake_done(&self, result: &Result<Arc<TlsInfo>>) {
        println!("TLS: {:?}", result.as_ref().map(|info| (info.version, info.cipher_suite)));
    }

    fn got_conn(&self, conn: &GotConn) {
        println!("has a connection, used before: {}, idle for {:?}", conn.reused, conn.idle);
    }

    fn got_first_response_byte(&self) {
        println!("first byte");
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let url = std::env::args().nth(1).ok_or_else(|| Error::other("usage: trace URL"))?;
    let client = Client::new();
    for _ in 0..2 {
        let mut request = Request::get(&url)?;
        request.set_trace(Arc::new(Printed));
        let mut response = client.send(request).await?;
        // Read to its end, the body gives the connection back.
        let length = response.bytes().await?.len();
        println!("{} with {length} bytes; {:?}\n", response.status, response.timings());
    }
    Ok(())
}
