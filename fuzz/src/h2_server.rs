//! Over HTTP/2 a server serves what was sent and once, answers what its handler wrote, ends, and harms no other peer.

use crate::play::h2_server_side::{is_answered, play, was_sent};

/// Bits for the server's settings, a window, and the frames of a peer (see `play::h2_script`).
pub fn check(data: &[u8]) {
    let played = play(data);
    was_sent(&played);
    is_answered(&played);
}
