//! The fuzz targets, as functions of bytes: each says its invariant in its first line. `cargo fuzz`
//! calls them from `fuzz_targets/`, and `tests/seeds.rs` with the seeds, as plain tests.

pub mod chunked;
pub mod client;
pub mod cookie;
pub mod framing;
pub mod header;
pub mod heads;
pub mod host;
pub mod play;
pub mod range;
pub mod reference;
pub mod request_head;
pub mod response_head;
pub mod server;
