//! A server serves what was sent, in that order and once, answers it with what the handler wrote, and ends with its peer.

use crate::play::server_side::{is_answered, none_is_forgotten, play, requests, was_sent};

/// A script (see `play::script`): the bytes that a peer sends, and what it does between them.
pub fn check(data: &[u8]) {
    let played = play(data);
    let (sent, is_refused) = requests(&played.passed.sent);
    was_sent(&played.served, &sent);
    let answered = is_answered(&played, &sent);
    none_is_forgotten(&played, &sent, is_refused, answered);
}
