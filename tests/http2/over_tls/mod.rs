//! The scripts that the engine is held to (`src/h2/tests`), once more against a whole server over TLS: what a public
//! suite sees that is pointed at its port. And how HTTP/2 begins where TLS has agreed on it.

mod peer;
#[allow(dead_code, reason = "what an engine tells its driver, nobody hears here")]
#[path = "../../../src/h2/tests/script.rs"]
mod script;
#[path = "../../../src/h2/tests/server_messages.rs"]
mod server_messages;
#[path = "../../../src/h2/tests/server_scripts.rs"]
mod server_scripts;
#[path = "../../../src/h2/tests/server_suites.rs"]
mod server_suites;

use peer::Site;
use script::{ACK, GOAWAY, SETTINGS, frame, get, ping};

use crate::frames::{PREFACE, PROTOCOL_ERROR};

#[tokio::test(start_paused = true)]
async fn what_begins_otherwise_than_with_the_preface_gets_frames_and_the_end_and_no_text() {
    let site = Site::start();
    let settings = frame(SETTINGS, 0, 0, &[]);
    for wrong in [
        b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n".to_vec(),
        b"PRI * HTTP/1.1\r\nHost: a.test\r\n\r\n".to_vec(),
        b"\0".to_vec(),
        [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rX"[..], &settings].concat(),
        settings.clone(),
        [PREFACE, &ping()].concat(),
        [PREFACE, &get(1)].concat(),
        [PREFACE, &frame(SETTINGS, ACK, 0, &[])].concat(),
        [PREFACE, &frame(0xee, 0, 0, &[]), &settings].concat(),
        [PREFACE, &settings[..8], &[1]].concat(),
    ] {
        for piece in [wrong.len(), 1] {
            let heard = site.play(&wrong, piece).await;
            // Text would be a frame of another kind, or none that is whole.
            assert!(heard.has_ended && heard.rest.is_empty(), "{}: {heard:?}", wrong.escape_ascii());
            let [first, .., last] = &heard.frames[..] else { panic!("{}: {heard:?}", wrong.escape_ascii()) };
            let kinds = (first.kind, last.kind, last.code());
            assert_eq!(kinds, (SETTINGS, GOAWAY, PROTOCOL_ERROR), "{}", wrong.escape_ascii());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_preface_that_stops_is_closed_by_the_deadline_of_a_head_without_a_word_of_http1() {
    let site = Site::start();
    for len in [0, 1, 10, PREFACE.len(), PREFACE.len() + 5] {
        let begun = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
        let began = tokio::time::Instant::now();
        let mut stream = site.dial().await;
        tokio::io::AsyncWriteExt::write_all(&mut stream, &begun[..len]).await.unwrap();
        let mut bytes = Vec::new();
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut bytes).await;
        let waited = began.elapsed();
        assert!(waited >= site.server.read_header_timeout && waited.as_secs() < 60, "after {len} bytes: {waited:?}");
        assert!(!bytes.windows(4).any(|four| four == b"HTTP"), "{}", bytes.escape_ascii());
    }
}
