//! A client and a server end every stream, lose no content and no credit, and wait for nobody who does not come.

use nethttp::fuzzing::http2_pair;

/// Ten bytes of settings, then steps (`step` in `src/h2/checker/pair.rs`).
pub fn check(data: &[u8]) {
    http2_pair(data);
}
