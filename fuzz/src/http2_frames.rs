//! Any frames lead to the same events and faults, however they are cut, and never to a panic or lost credit.

use nethttp::fuzzing::{http2_client_frames, http2_server_frames};

/// Two bytes of settings and cut, one that says whether bytes follow as they are, then frames: kind, flags,
/// stream, length, payload (`wire_of` in `src/h2/checker/any_frames.rs`).
pub fn check(data: &[u8]) {
    http2_server_frames(data);
    http2_client_frames(data);
}
