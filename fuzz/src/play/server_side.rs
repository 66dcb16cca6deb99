//! A server and its only peer, and the invariants of what passed between them.

use std::sync::Arc;
use std::time::Duration;

use nethttp::fuzzing::{FuzzContent, FuzzRequestKind};
use nethttp::{Server, testing};

use super::handler::{ContentEnd, Outcome, Served, Stage};
use super::peer::{Passed, Wire};
use super::script::{self, Step};
use super::{FOR_EVER, ends, run, settle};
use crate::heads::{self, LIMITS};
use crate::reference::fields::{members, values};
use crate::reference::{Read, chunked, request, response};

/// What passed, and what the handler saw and did.
#[derive(Debug)]
pub struct Played {
    pub steps: Vec<Step>,
    pub passed: Passed,
    pub served: Vec<Served>,
}

/// Plays a script to a server to the end of its connection.
pub fn play(data: &[u8]) -> Played {
    let steps = script::script(data);
    run(async {
        let stage = Stage::default();
        let mut server = Server::new(stage.clone());
        server.disable_general_options_handler = true;
        server.on_event = Some(Arc::new(|_| {}));
        // Longer than the waits of a peer that can still count on an answer.
        server.drain_timeout = Duration::from_secs(10);
        let (listener, dialer) = testing::listener();
        let serving = tokio::spawn({
            let server = server.clone();
            async move { server.serve(listener).await }
        });
        let dialer = dialer.with_buffer_bytes(script::buffer(&steps));
        let mut wire = Wire::new(dialer.dial().await.expect("the server listens"));
        for step in &steps {
            wire.act(step).await;
        }
        let passed = wire.end().await;
        settle().await;
        let report = ends("the shutdown", server.shutdown(FOR_EVER / 2)).await;
        assert_eq!((report.cut, server.connections()), (0, 0), "a connection outlives its peer");
        assert!(serving.await.expect("serving ends").is_err());
        // A connection that a handler took over has limits of its own.
        tokio::time::sleep(Duration::from_secs(1000)).await;
        let mut seen = stage.lock();
        assert_eq!(seen.wrong, None);
        Played { steps, passed, served: std::mem::take(&mut seen.served) }
    })
}

/// A request that was sent, as the slow reference reads it.
#[derive(Debug)]
pub struct Sent {
    pub head: request::Head,
    /// The bytes after its head.
    pub behind: Vec<u8>,
    pub content: Vec<u8>,
    pub is_whole: bool,
}

/// The requests in these bytes, and whether something after the last one is certainly none.
pub fn requests(mut bytes: &[u8]) -> (Vec<Sent>, bool) {
    let mut requests = Vec::new();
    loop {
        let head = match request::head(bytes, LIMITS) {
            Read::Partial => return (requests, false),
            Read::Refused => return (requests, true),
            Read::Whole(head) => head,
        };
        let behind = &bytes[head.consumed..];
        let (content, end) = content(head.content, behind);
        requests.push(Sent { head, behind: behind.to_vec(), content, is_whole: end.is_some() });
        let Some(end) = end else { return (requests, false) };
        bytes = &behind[end..];
    }
}

/// The content that these bytes begin with, and where it ends if it does.
pub fn content(kind: FuzzContent, bytes: &[u8]) -> (Vec<u8>, Option<usize>) {
    match kind {
        FuzzContent::Empty => (Vec::new(), Some(0)),
        FuzzContent::Length(length) => {
            let end = usize::try_from(length).ok().filter(|length| *length <= bytes.len());
            (bytes[..end.unwrap_or(bytes.len())].to_vec(), end)
        }
        FuzzContent::Chunked => {
            let (content, end) = chunked::content(bytes, LIMITS);
            (content, end.whole().map(|whole| whole.consumed))
        }
        FuzzContent::UntilClose => (bytes.to_vec(), None),
    }
}

/// What was served was sent, in this order, and no more.
pub fn was_sent(served: &[Served], sent: &[Sent]) {
    assert!(served.len() <= sent.len(), "{} requests were served and {} sent", served.len(), sent.len());
    for (served, sent) in served.iter().zip(sent) {
        let Served { method, target, host, http11, content, content_end, .. } = served;
        let head = &sent.head;
        assert_eq!((method, target, host, http11), (&head.method, &head.target, &head.host, &head.http11));
        assert_eq!(served.fields, heads::shown(&head.fields, &["Host", "Transfer-Encoding"]));
        assert!(sent.content.starts_with(content), "content that was not sent");
        let is_whole = sent.is_whole && *content == sent.content;
        assert!(*content_end != ContentEnd::Ended || is_whole, "content that is cut off passed for whole");
        if let Outcome::Hijacked(read) = &served.outcome {
            assert!(sent.behind.windows(read.len().max(1)).any(|bytes| bytes == read) || read.is_empty());
        }
    }
}

/// Checks the responses, in order: each belongs to its request and is complete, unless a handler or the
/// peer kept it from that, and nothing follows the last one. Returns how many were complete, and
/// whether the last of them left the connection open.
pub fn is_answered(played: &Played, sent: &[Sent]) -> (usize, bool) {
    let mut rest = &played.passed.received[..];
    let (mut number, mut is_open) = (0, true);
    while !rest.is_empty() {
        assert!(is_open, "something follows the last answer: {}", rest.escape_ascii());
        let (asked, served) = (sent.get(number), played.served.get(number));
        let Some(head) = answer_head(&mut rest, asked) else {
            assert!(may_be_cut(played, served), "half a head");
            return (number, false);
        };
        if matches!(served, Some(Served { outcome: Outcome::Hijacked(_), .. })) {
            return (number + 1, false);
        }
        let (content, end) = content(head.content, rest);
        let is_cut = end.is_none() && head.content != FuzzContent::UntilClose;
        assert!(!is_cut || may_be_cut(played, served), "half an answer: {head:?}");
        is_it(number, &head, &content, is_cut, served);
        if is_cut || end.is_none() {
            return (number + usize::from(!is_cut), false);
        }
        rest = &rest[end.unwrap_or(rest.len())..];
        let keeps_10 = members(&head.fields, "Connection").contains(&b"keep-alive".to_vec());
        is_open = head.keep_alive && asked.is_some_and(|sent| sent.head.keep_alive && (sent.head.http11 || keeps_10));
        number += 1;
    }
    (number, is_open)
}

/// The head of the final answer, those before it left out; `None` where it is cut off.
fn answer_head(rest: &mut &[u8], sent: Option<&Sent>) -> Option<response::Head> {
    let method = sent.map_or(&b""[..], |sent| &sent.head.method);
    let has = |name: &str| sent.is_some_and(|sent| !values(&sent.head.fields, name).is_empty());
    let asked = match method {
        b"HEAD" => FuzzRequestKind::Head,
        b"CONNECT" => FuzzRequestKind::Connect,
        _ if has("Upgrade") => FuzzRequestKind::Upgrade,
        _ => FuzzRequestKind::Other,
    };
    loop {
        let head = match response::head(rest, LIMITS, asked) {
            Read::Partial => return None,
            Read::Refused => panic!("no answer: {}", rest.escape_ascii()),
            Read::Whole(head) => head,
        };
        let text = &rest[..head.consumed];
        let is_strict = |at: usize| text[at] != b'\n' || (at > 0 && text[at - 1] == b'\r');
        assert!((0..text.len()).all(is_strict), "a bare line feed: {}", text.escape_ascii());
        let is_new = sent.is_none_or(|sent| sent.head.http11);
        assert!(is_new || (head.content != FuzzContent::Chunked && head.status >= 200), "HTTP/1.0 knows no {head:?}");
        *rest = &rest[head.consumed..];
        match head.status {
            101 | 200.. => return Some(head),
            100 => assert!(has("Expect"), "an unasked 100"),
            _ => {}
        }
    }
}

/// Whether the answer is the one of its handler, or one that the server may give in its place.
fn is_it(number: usize, head: &response::Head, content: &[u8], is_cut: bool, served: Option<&Served>) {
    let stamp = head.fields.iter().find(|field| field.0 == b"X-Number");
    let (Some((_, stamp)), Some(served)) = (stamp, served) else {
        assert!(head.status >= 400, "an answer that no handler gave: {head:?}");
        assert!(served.is_none_or(|served| served.outcome != Outcome::Done), "another answer than the handler's");
        return;
    };
    assert_eq!(*stamp, number.to_string().into_bytes(), "the answer to another request");
    // An error in place of a response that was not sent keeps its fields, the handler's number among them.
    if head.status >= 400 && served.outcome != Outcome::Done {
        return;
    }
    // Whether a response that ends with its connection is cut cannot be known.
    let is_all = !is_cut && served.outcome == Outcome::Done && head.content != FuzzContent::UntilClose;
    let has_content = head.content != FuzzContent::Empty;
    assert!(served.attempted.starts_with(content), "content that the handler did not write");
    assert!(!is_all || !has_content || content == served.written, "not all that the handler wrote");
}

/// Whether somebody kept an answer from becoming whole: its handler, or the peer.
fn may_be_cut(played: &Played, served: Option<&Served>) -> bool {
    let announces = served.is_some_and(|served| served.target.contains('l'));
    let was_done = served.is_none_or(|served| served.outcome == Outcome::Done);
    !was_done || announces || !is_calm(&played.steps)
}

/// Whether the peer stays, and takes what comes.
fn is_calm(steps: &[Step]) -> bool {
    let disturbs = |step: &Step| matches!(step, Step::Reset | Step::StopReading | Step::ReadSome | Step::WaitLong);
    !steps.iter().any(disturbs)
}

/// Each request that was sent whole to a peer that is there is answered, unless the connection
/// ended with an answer before it; and so is what is not a request.
pub fn none_is_forgotten(played: &Played, sent: &[Sent], is_refused: bool, answered: (usize, bool)) {
    let waits = played.steps.iter().filter(|step| **step == Step::Wait).count();
    let sleeps = played.served.iter().any(|served| served.target.contains(['Z', 'z']));
    let (whole, is_open) = answered;
    if !is_calm(&played.steps) || waits > 3 || sleeps || !is_open {
        return;
    }
    let is_fine = |served: &Served| served.outcome == Outcome::Done && !served.target.contains('l');
    if played.served.iter().all(is_fine) {
        let due = sent.iter().filter(|sent| sent.is_whole).count() + usize::from(is_refused);
        assert!(whole >= due, "{whole} of {due} answers");
    }
}
