//! A gRPC service by tonic beside ordinary routes, on one port, in the clear.
//!
//!     cargo run -p interop --example grpc
//!     curl http://127.0.0.1:8000/health
//!     grpcurl -plaintext -proto greet.proto -d '{"text": "you"}' 127.0.0.1:8000 greet.Greeter/SayHello
//!
//! where greet.proto says
//!
//!     syntax = "proto3"; package greet;
//!     message Text { string text = 1; }
//!     service Greeter { rpc SayHello (Text) returns (Text); }

use interop::{GreeterServer, Hello};
use nethttp::{Request, ResponseWriter, Result, ServeMux, listen_and_serve, tower};

async fn health(w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    w.write("ok\n").await
}

#[tokio::main]
async fn main() -> Result<()> {
    let mux = ServeMux::new();
    mux.handle("GET /health", health);
    // The path of a method is /PACKAGE.SERVICE/METHOD.
    mux.handle("POST /greet.Greeter/", tower::handler(GreeterServer::new(Hello::default())));
    let addr = std::env::args().nth(1).unwrap_or("127.0.0.1:8000".into());
    listen_and_serve(addr, mux).await
}
