//! A client takes for a response what was sent, for whole what came to its end, and for usable what is clean.

use crate::play::client_side::{is_clean, play, response, was_sent};

/// A script (see `play::client_side::play`): what is asked for, and what the server sends.
pub fn check(data: &[u8]) {
    let played = play(data);
    let sent = response(&played.sent, played.errand.asked(), played.is_closed);
    was_sent(&played, sent.as_ref());
    is_clean(&played, sent.as_ref());
}
