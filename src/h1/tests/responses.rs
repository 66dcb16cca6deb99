//! The cases of `tests/vectors/client.json` as far as the codec decides them: what a server sends
//! is read whole and in pieces, and what becomes of it must be among what is allowed; what a caller
//! wants to send is refused, or does no harm.

use http::{Method, Uri};
use serde_json::Value;

use super::{bytes_of, latin1, one_or_more};
use crate::error::Refusal;
use crate::h1::{
    Chunked, ChunkedReader, ConnectionField, Framing, HeadLimits, Outgoing, OwnField, ParsedResponse,
    ProxyAuthorization, RequestKind, RequestToSend, ResponseParser, SentTarget, Switch, check_request,
    encode_last_chunk, encode_request_head,
};
use crate::message::{Header, Response};

const LIMITS: HeadLimits = HeadLimits { max_bytes: 1 << 20, max_values: 500 };

/// The groups in which one response, read by itself, is what counts.
const GROUPS: [&str; 7] = ["status-line", "framing", "no-body", "informational", "headers", "connection", "chunked"];

fn vectors() -> Vec<Value> {
    let vectors: Vec<Value> = serde_json::from_str(include_str!("../../../tests/vectors/client.json")).unwrap();
    assert!(vectors.len() > 120);
    vectors
}

#[test]
fn every_response_is_read_as_it_may_be_however_it_is_cut() {
    let vectors = vectors();
    let is_read_whole = |vector: &&Value| vector["client_reads_only"].is_null();
    let of_groups = vectors.iter().filter(|vector| GROUPS.contains(&vector["group"].as_str().unwrap()));
    for vector in of_groups.filter(is_read_whole) {
        let (id, bytes) = (&vector["id"], bytes_of(vector));
        let whole = read_pieces(vector, &bytes, []);
        check(vector, &whole);
        let step = if bytes.len() <= 4096 { 1 } else { bytes.len() / 100 };
        for cut in (0..bytes.len()).step_by(step) {
            assert_eq!(read_pieces(vector, &bytes, [cut]), whole, "{id} cut at {cut}");
        }
        assert_eq!(read_pieces(vector, &bytes, (0..bytes.len()).step_by(step)), whole, "{id} in small pieces");
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Whole(Box<Whole>),
    /// The head is no response's, or was cut off.
    Error(Option<Refusal>),
    BodyError(Option<Refusal>),
    /// More is waited for.
    Waiting,
}

#[derive(Debug, PartialEq, Eq)]
struct Whole {
    status: u16,
    header: Header,
    content: Vec<u8>,
    trailer: Option<Header>,
    is_kept: bool,
}

fn read_pieces(vector: &Value, bytes: &[u8], ends: impl IntoIterator<Item = usize>) -> Outcome {
    let mut connection = Connection::of(vector);
    for end in ends.into_iter().chain([bytes.len()]) {
        if let Some(outcome) = connection.read(&bytes[..end], false) {
            return outcome.with_leftover(connection.taken < bytes.len());
        }
    }
    let is_closed = vector["server_then"] != "keep-open";
    let outcome = if is_closed { connection.read(bytes, vector["server_then"] != "reset") } else { None };
    outcome.unwrap_or(match (is_closed, &connection.body) {
        (false, _) => Outcome::Waiting,
        (true, None) => Outcome::Error(None),
        (true, Some(_)) => Outcome::BodyError(None),
    })
}

impl Outcome {
    fn with_leftover(mut self, has_leftover: bool) -> Outcome {
        if let Outcome::Whole(whole) = &mut self {
            whole.is_kept &= !has_leftover;
        }
        self
    }
}

/// A client's connection without a client.
struct Connection {
    request: RequestKind,
    taken: usize,
    parser: ResponseParser,
    response: Response,
    body: Option<(ParsedResponse, Option<Box<ChunkedReader>>)>,
    content: Vec<u8>,
}

impl Connection {
    fn of(vector: &Value) -> Connection {
        let request = &vector["request"];
        let method = Method::from_bytes(request["method"].as_str().unwrap_or("GET").as_bytes()).unwrap();
        Connection {
            request: RequestKind::of(&method, &fields(&request["headers"])),
            taken: 0,
            parser: ResponseParser::default(),
            response: Response::new(""),
            body: None,
            content: Vec::new(),
        }
    }

    fn read(&mut self, bytes: &[u8], at_end: bool) -> Option<Outcome> {
        while self.body.is_none() {
            let unread = &bytes[self.taken..];
            let head = match self.parser.parse(unread, &LIMITS, self.request, &mut self.response) {
                Ok(Some(head)) => head,
                Ok(None) => return None,
                Err(refusal) => return Some(Outcome::Error(Some(refusal))),
            };
            self.taken += head.consumed;
            if !self.response.status.is_informational() || head.switch == Switch::Upgrade {
                let chunked = head.framing == Framing::Chunked;
                self.body = Some((head, chunked.then(|| Box::new(ChunkedReader::new(16 << 10, 500)))));
            }
        }
        self.read_content(bytes, at_end)
    }

    fn read_content(&mut self, bytes: &[u8], at_end: bool) -> Option<Outcome> {
        let (head, reader) = self.body.as_mut()?;
        let framing = if head.switch == Switch::No { head.framing } else { Framing::UntilClose };
        let trailer = match (framing, reader) {
            (Framing::Chunked, Some(reader)) => loop {
                match reader.read(&bytes[self.taken..]) {
                    Ok(Chunked::NeedMore { consumed }) => {
                        self.taken += consumed;
                        return None;
                    }
                    Ok(Chunked::Data { skip, len }) => {
                        self.content.extend_from_slice(&bytes[self.taken + skip..][..len]);
                        self.taken += skip + len;
                    }
                    Ok(Chunked::End { consumed, trailer }) => {
                        self.taken += consumed;
                        break trailer;
                    }
                    Err(refusal) => return Some(Outcome::BodyError(Some(refusal))),
                }
            },
            (framing, _) => {
                let left = match framing {
                    Framing::Length(length) => usize::try_from(length).unwrap() - self.content.len(),
                    Framing::UntilClose => usize::MAX,
                    _ => 0,
                };
                let taken = left.min(bytes.len() - self.taken);
                self.content.extend_from_slice(&bytes[self.taken..][..taken]);
                self.taken += taken;
                if taken < left && !(at_end && framing == Framing::UntilClose) {
                    return None;
                }
                None
            }
        };
        let (status, is_kept) = (self.response.status.as_u16(), head.keep_alive);
        let (header, content) = (self.response.header.clone(), std::mem::take(&mut self.content));
        Some(Outcome::Whole(Box::new(Whole { status, header, content, trailer, is_kept })))
    }
}

/// Asserts what the vector says, as far as it is the codec's to keep.
fn check(vector: &Value, outcome: &Outcome) {
    let id = vector["id"].as_str().unwrap();
    let allowed = one_or_more(&vector["expect"]);
    let is_allowed = match outcome {
        Outcome::Whole(_) => allowed.contains(&"ok"),
        Outcome::Error(_) => allowed.contains(&"error"),
        Outcome::BodyError(_) => allowed.contains(&"body-error"),
        Outcome::Waiting => allowed.contains(&"timeout"),
    };
    assert!(is_allowed, "{id}: {outcome:?}");
    let Outcome::Whole(whole) = outcome else { return };
    if let Some(status) = vector["want_status"].as_u64() {
        assert_eq!(u64::from(whole.status), status, "{id}");
    }
    if let Some(body) = vector["want_body"].as_str() {
        assert_eq!(whole.content.escape_ascii().to_string(), latin1(body).escape_ascii().to_string(), "{id}");
    }
    check_fields(id, &vector["want_headers"], &whole.header);
    check_fields(id, &vector["want_trailer"], whole.trailer.as_ref().unwrap_or(&Header::new()));
    // What comes later, or how the second request ends, is for the connection to see.
    if vector["after_100ms_write"].is_null() {
        let is_kept = vector["reuse"].as_bool().unwrap_or(whole.is_kept);
        assert_eq!(whole.is_kept, is_kept, "{id}: {whole:?}");
    }
}

fn check_fields(id: &str, wanted: &Value, header: &Header) {
    for (name, values) in wanted.as_object().into_iter().flatten() {
        let expected: Vec<_> = one_or_more(values).into_iter().map(latin1).collect();
        assert_eq!(header.values_bytes(name).collect::<Vec<_>>(), expected, "{id}: {name}");
    }
}

fn fields(object: &Value) -> Header {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    object.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), text(value))).collect()
}

#[test]
fn what_a_caller_wants_to_send_is_refused_or_does_no_harm() {
    let vectors = vectors();
    let injections: Vec<_> = vectors.iter().filter(|vector| vector["group"] == "request-injection").collect();
    assert!(injections.len() > 10);
    for vector in injections {
        let (id, request) = (&vector["id"], &vector["request"]);
        // What a body yields in the end is for the connection to see.
        let is_of_the_head = request["declared_content_length"].is_null();
        let sent = sent(request);
        let must_be_refused = !one_or_more(&vector["expect"]).contains(&"ok");
        assert!(sent.is_none() || !must_be_refused || !is_of_the_head, "{id} was not refused");
        for never in one_or_more(&vector["wire_must_not_contain"]) {
            let wire = sent.as_deref().unwrap_or_default();
            assert!(memchr::memmem::find(wire, never.as_bytes()).is_none(), "{id}: {}", wire.escape_ascii());
        }
    }
}

/// What goes out; `None` where it is refused.
fn sent(request: &Value) -> Option<Vec<u8>> {
    let method = Method::from_bytes(request["method"].as_str().unwrap_or("GET").as_bytes()).ok()?;
    let path = request["path"].as_str().unwrap_or("/");
    let query = request["query"].as_str().map(|query| format!("?{query}")).unwrap_or_default();
    let uri = Uri::try_from(format!("http://a.test{path}{query}")).ok()?;
    let host = request["host"].as_str().unwrap_or("a.test");
    let (header, trailer) = (fields(&request["headers"]), fields(&request["trailer"]));
    let target = SentTarget::Origin(&uri);
    let checked = check_request(&method, target, host, &header, &trailer);
    let mut out = Vec::new();
    encode_request_head(
        &mut out,
        &RequestToSend {
            method: &method,
            target,
            host,
            header: &header,
            trailer: &trailer,
            outgoing: Outgoing::Chunked,
            connection: ConnectionField::Nothing,
            accept_encoding: Some(&OwnField::new("Accept-Encoding", "gzip")),
            user_agent: &OwnField::new("User-Agent", "nethttp"),
            proxy_authorization: ProxyAuthorization::Callers,
        },
    );
    encode_last_chunk(&mut out, &trailer);
    assert!(memchr::memmem::find(&out, b"\r\nEvil").is_none(), "not even unchecked: {}", out.escape_ascii());
    checked.ok().map(|()| out)
}
