//! The cases of `tests/vectors/server.json` as far as the codec decides them: each connection's
//! bytes are read whole and in pieces, and what becomes of them must be among what is allowed.

#[cfg(feature = "client")]
mod responses;

use base64::Engine as _;
use http::{Method, Uri};
use serde_json::Value;

use super::{Chunked, ChunkedReader, Framing, HeadLimits, ParsedRequest, RequestParser};
use crate::error::Refusal;
use crate::message::{Body, Header, Request};

const LIMITS: HeadLimits = HeadLimits { max_bytes: 1 << 20, max_values: 500 };

/// What the codec answers by itself; everything else is a handler's or the connection's.
const REFUSALS: [&str; 4] = ["400", "414", "431", "505"];

#[test]
fn every_vector_is_read_as_it_may_be_however_it_is_cut() {
    let vectors: Vec<Value> = serde_json::from_str(include_str!("../../../tests/vectors/server.json")).unwrap();
    assert!(vectors.len() > 300);
    for vector in &vectors {
        let (id, bytes) = (vector["id"].as_str().unwrap(), bytes_of(vector));
        let whole = read_pieces(&bytes, []);
        check(vector, &whole);
        let step = match bytes.len() {
            ..=4096 => 1,
            len @ ..=100_000 => len / 200,
            len => len / 50,
        };
        for cut in (0..bytes.len()).step_by(step) {
            assert_eq!(read_pieces(&bytes, [cut]), whole, "{id} cut at {cut}");
        }
        assert_eq!(read_pieces(&bytes, (0..bytes.len()).step_by(step)), whole, "{id} in small pieces");
    }
}

/// Each request of the connection until one is refused, incomplete, or the last.
fn read_pieces(bytes: &[u8], ends: impl IntoIterator<Item = usize>) -> Vec<Outcome> {
    let mut connection = Connection::default();
    for end in ends.into_iter().chain([bytes.len()]) {
        connection.feed(&bytes[..end]);
    }
    if connection.parser.has_begun(&bytes[connection.taken..]) || connection.body.is_some() {
        connection.finish(Outcome::Incomplete);
    }
    connection.outcomes
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Served(Box<Served>),
    Refused(Refusal),
    Incomplete,
}

#[derive(Debug, PartialEq, Eq)]
struct Served {
    method: Method,
    target: String,
    host: String,
    header: Header,
    content: Vec<u8>,
    trailer: Option<Header>,
}

/// A server connection without a server.
#[derive(Default)]
struct Connection {
    taken: usize,
    parser: RequestParser,
    body: Option<(Served, BodyReader, bool)>,
    outcomes: Vec<Outcome>,
    over: bool,
}

enum BodyReader {
    Length(u64),
    Chunked(Box<ChunkedReader>),
}

impl Connection {
    fn feed(&mut self, bytes: &[u8]) {
        while !self.over {
            match self.step(&bytes[self.taken..]) {
                Ok(true) => {}
                Ok(false) => return,
                Err(refusal) => self.finish(Outcome::Refused(refusal)),
            }
        }
    }

    fn finish(&mut self, outcome: Outcome) {
        if !self.over {
            self.outcomes.push(outcome);
            self.over = true;
        }
    }

    /// Whether it got on.
    fn step(&mut self, unread: &[u8]) -> Result<bool, Refusal> {
        let Some((mut served, mut reader, keep_alive)) = self.body.take() else {
            let mut request = Request::new(Method::GET, Uri::from_static("/"), Body::empty());
            let Some(head) = self.parser.parse(unread, &LIMITS, &mut request)? else { return Ok(false) };
            self.taken += head.consumed;
            self.begin(&head, request);
            return Ok(true);
        };
        let ended = self.read_body(&mut reader, &mut served, unread)?;
        match ended {
            Some(true) => {
                self.outcomes.push(Outcome::Served(Box::new(served)));
                self.over = !keep_alive;
            }
            _ => self.body = Some((served, reader, keep_alive)),
        }
        Ok(ended.is_some())
    }

    fn begin(&mut self, head: &ParsedRequest, request: Request) {
        let reader = match head.framing {
            Framing::Empty => BodyReader::Length(0),
            Framing::Length(length) => BodyReader::Length(length),
            Framing::Chunked => BodyReader::Chunked(Box::new(ChunkedReader::new(LIMITS.max_bytes, LIMITS.max_values))),
            Framing::UntilClose => unreachable!("no request ends with its connection"),
        };
        let Request { method, request_uri: target, host, header, .. } = request;
        let served = Served { method, target, host, header, content: Vec::new(), trailer: None };
        self.body = Some((served, reader, head.keep_alive));
    }

    /// Whether the content ended; `None` when more bytes are needed.
    fn read_body(
        &mut self,
        reader: &mut BodyReader,
        served: &mut Served,
        unread: &[u8],
    ) -> Result<Option<bool>, Refusal> {
        match reader {
            BodyReader::Length(0) => Ok(Some(true)),
            BodyReader::Length(_) if unread.is_empty() => Ok(None),
            BodyReader::Length(left) => {
                let len = unread.len().min(usize::try_from(*left).unwrap());
                served.content.extend_from_slice(&unread[..len]);
                self.taken += len;
                *left -= len as u64;
                Ok(Some(false))
            }
            BodyReader::Chunked(reader) => Ok(match reader.read(unread)? {
                Chunked::NeedMore { consumed } => {
                    self.taken += consumed;
                    None
                }
                Chunked::Data { skip, len } => {
                    served.content.extend_from_slice(&unread[skip..][..len]);
                    self.taken += skip + len;
                    Some(false)
                }
                Chunked::End { consumed, trailer } => {
                    self.taken += consumed;
                    served.trailer = trailer;
                    Some(true)
                }
            }),
        }
    }
}

/// Asserts what the vector says, as far as it is the codec's to keep.
fn check(vector: &Value, outcomes: &[Outcome]) {
    let id = vector["id"].as_str().unwrap();
    let allowed = |status: &str| one_or_more(&vector["expect"]).contains(&status);
    match outcomes.first() {
        None => assert!(allowed("close-no-response"), "{id}: nothing was read"),
        Some(Outcome::Refused(refusal)) => assert!(allowed(refusal.status.as_str()), "{id}: {refusal:?}"),
        Some(Outcome::Incomplete) => {
            let may_be = vector["half_close_after_send"] == true || vector["message_incomplete"] == true;
            assert!(may_be, "{id}: incomplete");
        }
        Some(Outcome::Served(served)) => {
            let by_others = |status: &&str| !REFUSALS.contains(status) && status.parse::<u16>().is_ok();
            assert!(one_or_more(&vector["expect"]).iter().any(by_others), "{id}: served {served:?}");
            check_seen(id, &vector["handler_must_see"], served);
        }
    }
    if let Some(never) = vector["must_never_serve"].as_str() {
        let is_served = |outcome: &Outcome| matches!(outcome, Outcome::Served(served) if served.target == never);
        assert!(!outcomes.iter().any(is_served), "{id}: {never} was served");
    }
    check_sequence(vector, outcomes);
}

fn check_seen(id: &str, seen: &Value, served: &Served) {
    let same = |key: &str, text: &[u8]| {
        let expected = seen[key].as_str().map_or(text.to_vec(), latin1);
        assert_eq!(text.escape_ascii().to_string(), expected.escape_ascii().to_string(), "{id}: {key}");
    };
    same("method", served.method.as_str().as_bytes());
    same("target", served.target.as_bytes());
    same("host", served.host.as_bytes());
    // The vectors show a long body by its length.
    let long = format!("<{} bytes>", served.content.len());
    same("body", if served.content.len() > 200 { long.as_bytes() } else { &served.content });
    same("x_header_values_joined_by_bar", &served.header.values_bytes("X").collect::<Vec<_>>().join(&b'|'));
}

/// Which requests are served and which refused, where no handler answers other than 200.
fn check_sequence(vector: &Value, outcomes: &[Outcome]) {
    let Some(sequences) = vector["status_sequences"].as_array() else { return };
    let is_max10 = |outcome: &Outcome| matches!(outcome, Outcome::Served(served) if served.target == "/max10");
    if outcomes.iter().any(is_max10) {
        return;
    }
    let status = |outcome: &Outcome| match outcome {
        Outcome::Served(_) => Some("200".to_owned()),
        Outcome::Refused(refusal) => Some(refusal.status.as_str().to_owned()),
        Outcome::Incomplete => None,
    };
    let statuses: Vec<_> = outcomes.iter().filter_map(status).collect();
    let finals = |sequence: &Value| -> Vec<String> {
        one_or_more(sequence).into_iter().filter(|status| !status.starts_with('1')).map(str::to_owned).collect()
    };
    let id = &vector["id"];
    assert!(sequences.iter().any(|sequence| finals(sequence) == statuses) || statuses.is_empty(), "{id}: {statuses:?}");
}

pub(super) fn one_or_more(value: &Value) -> Vec<&str> {
    match value {
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    }
}

pub(super) fn bytes_of(vector: &Value) -> Vec<u8> {
    if let Some(steps) = vector["steps"].as_array() {
        return steps.iter().flat_map(|step| piece(&step["raw"], &step["raw_b64"])).collect();
    }
    if let Some(parts) = vector["raw_parts"].as_array() {
        return parts.iter().flat_map(|part| piece(&part["s"], &part["b64"]).repeat(times(part))).collect();
    }
    piece(&vector["raw"], &vector["raw_b64"])
}

fn times(part: &Value) -> usize {
    part["n"].as_u64().map_or(1, |n| usize::try_from(n).unwrap())
}

fn piece(text: &Value, encoded: &Value) -> Vec<u8> {
    match (text.as_str(), encoded.as_str()) {
        (Some(text), _) => latin1(text),
        (None, Some(encoded)) => base64::engine::general_purpose::STANDARD.decode(encoded).unwrap(),
        (None, None) => panic!("a vector has bytes"),
    }
}

pub(super) fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect()
}
