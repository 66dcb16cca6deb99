//! The fuzz targets, as functions of bytes: each says its invariant in its first line. `cargo fuzz`
//! calls them from `fuzz_targets/`, and `tests/seeds.rs` with the seeds, as plain tests.

#[path = "../../tests/support/certificates.rs"]
mod certificates;
pub mod chunked;
pub mod client;
pub mod cookie;
pub mod decode;
pub mod files;
pub mod framing;
pub mod h2_client;
pub mod h2_server;
pub mod header;
pub mod heads;
pub mod host;
pub mod hpack;
pub mod http2_frames;
pub mod http2_pair;
pub mod input;
pub mod jar;
pub mod middleware;
pub mod multipart;
pub mod mux;
pub mod netscape;
pub mod no_proxy;
pub mod paths;
pub mod play;
pub mod proxy;
pub mod proxy_protocol;
pub mod range;
pub mod redirect;
pub mod reference;
pub mod request_head;
pub mod response_head;
pub mod server;
pub mod tls;
