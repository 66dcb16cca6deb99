//! Messages read in the form of HTTP/1.1 from any buffered reader: as strictly as server and client read.

use bytes::{Bytes, BytesMut};
use http::{Method, Uri};
use tokio::io::{AsyncBufRead, AsyncBufReadExt};

use crate::error::{Error, Phase, Refusal, Result};
use crate::h1::{Chunked, ChunkedReader, Framing, HeadLimits, RequestKind, RequestParser, ResponseParser};
use crate::message::{Body, Header, Request, Response};

/// As a server's and a client's own by default.
const LIMITS: HeadLimits = HeadLimits { max_bytes: 1 << 20, max_values: 500 };

/// Reads one request with its whole content, of `max_content_bytes` at most (Go's `ReadRequest`, whose content
/// stays in the reader). Nothing behind it is read, so another call reads the next one. `None` where the reader
/// ends before a byte of one.
///
/// Not cancel safe: what was read when it is dropped is lost.
///
/// ```
/// use nethttp::httputil::read_request;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> nethttp::Result<()> {
/// let mut pipeline = &b"GET /a HTTP/1.1\r\nHost: a.test\r\n\r\nGET /b HTTP/1.1\r\nHost: a.test\r\n\r\n"[..];
/// let mut paths = Vec::new();
/// while let Some(request) = read_request(&mut pipeline, 0).await? {
///     paths.push(request.path().into_owned());
/// }
/// assert_eq!(paths, ["/a", "/b"]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`ErrorKind::Refused`](crate::ErrorKind::Refused) for what a server would refuse, with the status that it
/// would answer; [`ErrorKind::BodyTooLarge`](crate::ErrorKind::BodyTooLarge);
/// [`ErrorKind::CutOff`](crate::ErrorKind::CutOff) where the reader ends within the message; those of the
/// reader. A head may have 1 MiB and 500 fields.
pub async fn read_request<R: AsyncBufRead + Unpin>(reader: &mut R, max_content_bytes: u64) -> Result<Option<Request>> {
    let mut request = Request::new(Method::GET, Uri::from_static("/"), Body::empty());
    let mut parser = RequestParser::default();
    let framing = read_head(reader, |head| {
        let parsed = parser.parse(head, &LIMITS, &mut request)?;
        Ok(parsed.map(|head| (head.consumed, head.framing)))
    });
    let Some(framing) = framing.await? else { return Ok(None) };
    request.body = read_content(reader, framing, max_content_bytes).await?;
    Ok(Some(request))
}

/// Reads one response to a request of this method, with its whole content, of `max_content_bytes` at most
/// (Go's `ReadResponse`). Nothing behind it is read. An informational response (103) is one like any other: the
/// final one comes behind it. `None` where the reader ends before a byte of one.
///
/// Not cancel safe: what was read when it is dropped is lost.
///
/// # Errors
/// As [`read_request`]; a refusal has the status 502, as a gateway would answer it.
pub async fn read_response<R: AsyncBufRead + Unpin>(
    reader: &mut R,
    method: &Method,
    max_content_bytes: u64,
) -> Result<Option<Response>> {
    let mut response = Response::new(Body::empty());
    let mut parser = ResponseParser::default();
    let kind = RequestKind::of(method, &Header::new());
    let framing = read_head(reader, |head| {
        let parsed = parser.parse(head, &LIMITS, kind, &mut response)?;
        Ok(parsed.map(|head| (head.consumed, head.framing)))
    });
    let Some(framing) = framing.await? else { return Ok(None) };
    response.body = read_content(reader, framing, max_content_bytes).await?;
    Ok(Some(response))
}

/// Shows the parser all bytes of a head until it has one, and leaves those behind it in the reader.
async fn read_head<R, T>(
    reader: &mut R,
    mut parse: impl FnMut(&[u8]) -> Result<Option<(usize, T)>, Refusal>,
) -> Result<Option<T>>
where
    R: AsyncBufRead + Unpin,
{
    let mut head = Vec::new();
    loop {
        let came = reader.fill_buf().await.map_err(|error| Error::from(error).during(Phase::Head))?;
        if came.is_empty() {
            return if head.is_empty() { Ok(None) } else { Err(Error::cut_off(Phase::Head)) };
        }
        let (before, count) = (head.len(), came.len());
        head.extend_from_slice(came);
        match parse(&head)? {
            Some((consumed, parsed)) => {
                reader.consume(consumed.saturating_sub(before));
                return Ok(Some(parsed));
            }
            None => reader.consume(count),
        }
    }
}

async fn read_content<R: AsyncBufRead + Unpin>(reader: &mut R, framing: Framing, limit: u64) -> Result<Body> {
    match framing {
        Framing::Empty => Ok(Body::empty()),
        Framing::Length(length) if length > limit => Err(over(limit)),
        Framing::Length(length) => read_length(reader, length).await.map(Body::from),
        Framing::Chunked => read_chunks(reader, limit).await,
        Framing::UntilClose => read_to_end(reader, limit).await.map(Body::from),
    }
}

fn over(limit: u64) -> Error {
    Error::too_large(limit, format!("the content is over its limit of {limit} bytes"))
}

/// What is in the buffer, at least a byte; nothing at the end.
async fn more<R: AsyncBufRead + Unpin>(reader: &mut R) -> Result<&[u8]> {
    reader.fill_buf().await.map_err(|error| Error::from(error).during(Phase::Body))
}

/// Memory grows with what comes, and not with what is announced.
async fn read_length<R: AsyncBufRead + Unpin>(reader: &mut R, length: u64) -> Result<Bytes> {
    let mut content = BytesMut::new();
    let mut left = length;
    while left > 0 {
        let came = more(reader).await?;
        if came.is_empty() {
            return Err(Error::cut_off(Phase::Body));
        }
        let count = came.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        content.extend_from_slice(came.get(..count).unwrap_or(came));
        reader.consume(count);
        left = left.saturating_sub(count as u64);
    }
    Ok(content.freeze())
}

async fn read_to_end<R: AsyncBufRead + Unpin>(reader: &mut R, limit: u64) -> Result<Bytes> {
    let mut content = BytesMut::new();
    loop {
        let came = more(reader).await?;
        if came.is_empty() {
            return Ok(content.freeze());
        }
        let count = came.len();
        if (content.len() as u64).saturating_add(count as u64) > limit {
            return Err(over(limit));
        }
        content.extend_from_slice(came);
        reader.consume(count);
    }
}

async fn read_chunks<R: AsyncBufRead + Unpin>(reader: &mut R, limit: u64) -> Result<Body> {
    let mut chunks = ChunkedReader::new(LIMITS.max_bytes, LIMITS.max_values);
    let mut content = BytesMut::new();
    // Bytes that the chunks have not taken yet: the beginning of a line.
    let mut unread = Vec::new();
    loop {
        let came = more(reader).await?;
        if came.is_empty() {
            return Err(Error::cut_off(Phase::Body));
        }
        let count = came.len();
        unread.extend_from_slice(came);
        let mut at = 0_usize;
        let end = loop {
            let input = unread.get(at..).unwrap_or_default();
            match chunks.read(input)? {
                Chunked::NeedMore { consumed } => {
                    at = at.saturating_add(consumed);
                    break None;
                }
                Chunked::Data { skip, len } => {
                    if (content.len() as u64).saturating_add(len as u64) > limit {
                        return Err(over(limit));
                    }
                    let end = skip.saturating_add(len);
                    content.extend_from_slice(input.get(skip..end).unwrap_or_default());
                    at = at.saturating_add(end);
                }
                Chunked::End { consumed, trailer } => {
                    at = at.saturating_add(consumed);
                    break Some(trailer);
                }
            }
        };
        let left = unread.len().saturating_sub(at);
        if let Some(trailer) = end {
            // The end was not in what was there before: what is left came now.
            reader.consume(count.saturating_sub(left));
            let mut body = Body::from(content.freeze());
            body.set_trailer(trailer);
            return Ok(body);
        }
        reader.consume(count);
        unread.drain(..at.min(unread.len()));
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::BufReader;

    use super::*;
    use crate::error::ErrorKind;

    const CHUNKED: &str = "POST /x HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n\
                           3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nDigest: z\r\n\r\n";

    #[tokio::test]
    async fn a_request_is_read_whole_however_it_is_cut_and_nothing_behind_it() {
        let text = format!("{CHUNKED}GET /y HTTP/1.1\r\nHost: b.test\r\n\r\n");
        for capacity in 1..text.len() {
            let mut reader = BufReader::with_capacity(capacity, text.as_bytes());
            let mut request = read_request(&mut reader, 5).await.unwrap().unwrap();
            assert_eq!((request.method.as_str(), request.host.as_str()), ("POST", "a.test"), "{capacity}");
            assert_eq!(request.body.text().await.unwrap(), "abcde");
            assert_eq!(request.body.trailer().unwrap().get("Digest"), Some("z"));
            let request = read_request(&mut reader, 0).await.unwrap().unwrap();
            assert_eq!((request.path(), request.host.as_str()), ("/y".into(), "b.test"));
            assert!(read_request(&mut reader, 0).await.unwrap().is_none());
        }
    }

    #[tokio::test]
    async fn what_is_cut_off_too_large_or_refused_is_an_error() {
        for cut in 1..CHUNKED.len() {
            let error = read_request(&mut &CHUNKED.as_bytes()[..cut], 5).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::CutOff, "{cut}");
        }
        let error = read_request(&mut CHUNKED.as_bytes(), 4).await.unwrap_err();
        assert_eq!((error.kind(), error.limit_bytes()), (ErrorKind::BodyTooLarge, Some(4)));
        let long = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n";
        assert_eq!(read_request(&mut long.as_bytes(), 9).await.unwrap_err().kind(), ErrorKind::BodyTooLarge);
        let both = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n";
        let error = read_request(&mut both.as_bytes(), 9).await.unwrap_err();
        assert_eq!((error.kind(), error.status().unwrap().as_u16()), (ErrorKind::Refused, 400));
    }

    #[tokio::test]
    async fn a_response_ends_as_its_request_and_its_fields_say() {
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 404 Not Found\r\n\r\nrest";
        let mut reader = text.as_bytes();
        let mut response = read_response(&mut reader, &Method::GET, 9).await.unwrap().unwrap();
        assert_eq!((response.status.as_u16(), response.body.text().await.unwrap().as_str()), (200, "abc"));
        let mut response = read_response(&mut reader, &Method::GET, 9).await.unwrap().unwrap();
        assert_eq!((response.status.as_u16(), response.body.text().await.unwrap().as_str()), (404, "rest"));

        let mut reader = text.as_bytes();
        let response = read_response(&mut reader, &Method::HEAD, 9).await.unwrap().unwrap();
        assert_eq!((response.content_length, response.body.is_empty()), (Some(3), true));
        assert!(reader.starts_with(b"abc"));
    }
}
