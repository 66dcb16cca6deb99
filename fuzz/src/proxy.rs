//! A proxy's replies are taken for what they are: nobody waits for ever, and nothing passes where no tunnel was opened.

use crate::play::tunnel::{is_answered, play};
use crate::reference::socks;

/// Letters for the kind of proxy in the first line (see `play::tunnel::Way`), then what it sends.
pub fn check(data: &[u8]) {
    let played = play(data);
    if !played.way.is_socks() {
        let error = played.error.as_ref().expect("no TLS comes of this");
        assert!(!error.text.contains("s3cret") && !error.text.chars().any(char::is_control), "{error:?}");
        return is_answered(&played);
    }
    let tunnel = socks::tunnel(&played.sent, played.way.has_user());
    match (played.status, tunnel) {
        (Some(_), None) => panic!("a response without a tunnel: {}", played.sent.escape_ascii()),
        (Some(status), Some(at)) => assert_eq!(Some(status), socks::status(&played.sent[at..]), "not what was sent"),
        (None, _) => {}
    }
    let has_asked = played.received.windows(4).any(|bytes| bytes == b"GET ");
    assert!(!has_asked || tunnel.is_some(), "a request passed without a tunnel");
}
