//! Gives heads and chunks to the library in pieces, and converts the result to the types of the reference.

use nethttp::fuzzing::{
    FuzzChunks, FuzzHead, FuzzLimits, FuzzPiece, FuzzRequestKind, Refused, RequestHeads, ResponseHeads,
};
use nethttp::{Body, Header, Method, Request, Response, Uri, Version};

use crate::reference::chunked::Whole;
use crate::reference::fields::{Fields, is_name, values};
use crate::reference::{request, response};

pub const LIMITS: FuzzLimits = FuzzLimits { max_bytes: 1 << 20, max_values: 500 };
/// Small, so that inputs reach them.
pub const TIGHT: FuzzLimits = FuzzLimits { max_bytes: 80, max_values: 3 };

/// The library's result for a head: incomplete, accepted, or refused.
pub type Parsed<T> = Result<Option<T>, Refused>;

/// Where to cut: nowhere, at every byte, and once at some bytes, all of them if they are few.
pub fn cuts(len: usize) -> impl Iterator<Item = Vec<usize>> {
    let single = (0..len).step_by(len / 32 + 1).map(|at| vec![at]);
    [Vec::new(), (0..len).collect()].into_iter().chain(single)
}

/// Parses as a connection does: all bytes that have come, each time that more have.
pub fn request(input: &[u8], limits: FuzzLimits, cuts: &[usize]) -> Parsed<request::Head> {
    let mut parser = RequestHeads::default();
    let mut request = Request::new(Method::GET, Uri::from_static("/"), Body::empty());
    for end in cuts.iter().chain([&input.len()]) {
        if let Some(head) = parser.parse(&input[..*end], limits, &mut request)? {
            return Ok(Some(of_request(&head, &request)));
        }
    }
    Ok(None)
}

fn of_request(head: &FuzzHead, request: &Request) -> request::Head {
    assert_eq!(request.close, !head.keep_alive);
    request::Head {
        consumed: head.consumed,
        method: request.method.as_str().into(),
        target: request.request_uri.clone(),
        host: request.host.clone(),
        http11: request.proto == Version::HTTP_11,
        fields: fields(&request.header),
        content: head.content,
        keep_alive: head.keep_alive,
    }
}

pub fn response(input: &[u8], limits: FuzzLimits, asked: FuzzRequestKind, cuts: &[usize]) -> Parsed<response::Head> {
    let (mut parser, mut response) = (ResponseHeads::default(), Response::new(""));
    for end in cuts.iter().chain([&input.len()]) {
        if let Some(head) = parser.parse(&input[..*end], limits, asked, &mut response)? {
            return Ok(Some(response::Head {
                consumed: head.consumed,
                http11: response.proto == Version::HTTP_11,
                status: response.status.as_u16(),
                fields: fields(&response.header),
                content: head.content,
                keep_alive: head.keep_alive,
                switches: head.switches,
            }));
        }
    }
    Ok(None)
}

/// The fields of a header, as the reference has them.
pub fn fields(header: &Header) -> Fields {
    header.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec())).collect()
}

/// The fields of a head that the user sees: those that are shown in another place are not among them,
/// and `Pragma` of HTTP/1.0 adds a `Cache-Control` (Go's rule).
pub fn shown(sent: &Fields, told_elsewhere: &[&str]) -> Fields {
    let mut shown = sent.clone();
    shown.retain(|field| !told_elsewhere.iter().any(|name| is_name(&field.0, name)));
    let asks_for_fresh = values(sent, "Pragma").first().is_some_and(|value| *value == b"no-cache");
    if asks_for_fresh && values(sent, "Cache-Control").is_empty() {
        shown.push((b"Cache-Control".to_vec(), b"no-cache".to_vec()));
    }
    shown
}

/// Reads as a connection does: what was consumed is not shown again.
pub fn chunked(data: &[u8], trailer: FuzzLimits, cuts: &[usize]) -> (Vec<u8>, Result<Option<Whole>, Refused>) {
    let (mut chunks, mut content, mut at) = (FuzzChunks::new(trailer), Vec::new(), 0);
    for end in cuts.iter().chain([&data.len()]) {
        loop {
            match chunks.read(&data[at..*end]) {
                Err(refused) => return (content, Err(refused)),
                Ok(FuzzPiece::NeedMore { consumed }) => {
                    at += consumed;
                    break;
                }
                Ok(FuzzPiece::Data { skip, len }) => {
                    content.extend_from_slice(&data[at + skip..][..len]);
                    at += skip + len;
                }
                Ok(FuzzPiece::End { consumed, trailer }) => {
                    let trailer = trailer.map(|trailer| fields(&trailer)).unwrap_or_default();
                    return (content.clone(), Ok(Some(Whole { content, trailer, consumed: at + consumed })));
                }
            }
        }
    }
    (content, Ok(None))
}

/// A head of these lines: the first letter of each says the name.
pub fn written(start: &str, lines: &[&[u8]]) -> Vec<u8> {
    let mut head = start.as_bytes().to_vec();
    for line in lines {
        let name: &[u8] = match line.first() {
            Some(b'L') => b"Content-Length: ",
            Some(b'l') => b"CONTENT-LENGTH:",
            Some(b'T') => b"Transfer-Encoding: ",
            Some(b't') => b"transfer-encoding:\t",
            Some(b'C') => b"Connection: ",
            Some(b'k') => b"connection:",
            _ => b"X: ",
        };
        head.extend_from_slice(&[name, line.get(1..).unwrap_or_default(), b"\r\n"].concat());
    }
    head.extend_from_slice(b"\r\n");
    head
}
