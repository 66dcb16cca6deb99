//! Over HTTP/2 a client takes what is sent for what it is, waits for nobody for ever, and goes on with the next server.

use crate::play::h2_client_side::{is_due, keeps_to_frames, play, was_sent};

/// Bits for the client's settings, the number of requests and a letter for each, and a server's frames.
pub fn check(data: &[u8]) {
    let played = play(data);
    was_sent(&played);
    is_due(&played);
    keeps_to_frames(&played);
}
