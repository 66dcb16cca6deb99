//! A tunnel through an HTTP proxy (CONNECT, RFC 9110 §9.3.6).

use std::future::poll_fn;
use std::io::{self, IoSlice};

use bytes::Buf;
use http::Method;

use crate::error::{Error, ErrorKind, Phase, Refusal, Result};
use crate::h1::{
    ConnectionField, HeadLimits, Outgoing, OwnField, RequestKind, RequestToSend, ResponseParser, SentTarget,
    check_request, encode_request_head,
};
use crate::message::{Body, Header, Response};
use crate::net::Io;

/// The CONNECT request to a proxy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Connect<'a> {
    /// Host and port of the target; an IPv6 address in brackets.
    pub(crate) authority: &'a str,
    /// The caller's own fields (Go's `ProxyConnectHeader`).
    pub(crate) header: &'a Header,
    /// The value of `Proxy-Authorization`, in place of one in the header.
    pub(crate) authorization: Option<&'a str>,
    /// For a header without `User-Agent`; an empty one sends none.
    pub(crate) user_agent: &'a OwnField,
}

/// Has the proxy at the other end connect to a target. Then the stream leads there.
///
/// The limits are those of all heads together, interim ones included. `on_response` sees the
/// answer whatever its status is, and its error is the tunnel's.
///
/// What came after the answer stays in the input and is the target's. TLS is begun by the
/// client: where it goes on with TLS, there must be nothing.
///
/// Not to be used again when it fails or is dropped half-way.
///
/// # Errors
/// [`Invalid`](ErrorKind::Invalid), before anything is written; [`Proxy`](ErrorKind::Proxy), with
/// the status and the reason in the line when it is not 2xx; [`Io`](ErrorKind::Io).
pub(crate) async fn tunnel(
    io: &mut Io,
    connect: &Connect<'_>,
    limits: &HeadLimits,
    on_response: impl FnOnce(&Response) -> Result<()>,
) -> Result<Response> {
    let head = request_head(connect).map_err(|error| error.during(Phase::Proxy))?;
    write(io, &head).await.map_err(broken)?;
    let (response, reason) = read_response(io, *limits).await?;
    on_response(&response)?;
    if response.status.is_success() {
        return Ok(response);
    }
    let (status, authority) = (response.status, connect.authority);
    let line = format!("the proxy does not connect to {authority}: {} {reason}", status.as_str());
    Err(refused(line.trim_end().to_owned()).with_status(status))
}

fn request_head(connect: &Connect<'_>) -> Result<Vec<u8>> {
    let (target, no_trailer) = (SentTarget::Authority(connect.authority), Header::new());
    check_request(&Method::CONNECT, target, connect.authority, connect.header, &no_trailer)?;
    let mut head = Vec::with_capacity(256);
    encode_request_head(
        &mut head,
        &RequestToSend {
            method: &Method::CONNECT,
            target,
            host: connect.authority,
            header: connect.header,
            trailer: &no_trailer,
            outgoing: Outgoing::None,
            connection: ConnectionField::Nothing,
            accept_encoding: None,
            user_agent: connect.user_agent,
            proxy_authorization: connect.authorization,
        },
    );
    Ok(head)
}

async fn write(io: &mut Io, mut head: &[u8]) -> io::Result<()> {
    while !head.is_empty() {
        let written = poll_fn(|cx| io.poll_write(cx, &[IoSlice::new(head)])).await?;
        head.advance(written);
    }
    poll_fn(|cx| io.poll_flush(cx)).await
}

/// The final head, and its reason. Interim ones are passed over (RFC 9110 §15.2).
async fn read_response(io: &mut Io, mut limits: HeadLimits) -> Result<(Response, String)> {
    let mut parser = ResponseParser::default();
    let mut response = Response::new(Body::empty());
    loop {
        let Some(head) =
            parser.parse(&io.input, &limits, RequestKind::Connect, &mut response).map_err(misunderstood)?
        else {
            if poll_fn(|cx| io.poll_fill(cx)).await.map_err(broken)? == 0 {
                return Err(refused("the proxy closed before it had answered".to_owned()));
            }
            continue;
        };
        let reason = reason(&io.input, &response);
        io.input.advance(head.consumed);
        if !response.status.is_informational() {
            return Ok((response, reason));
        }
        limits.max_bytes = limits.max_bytes.saturating_sub(head.consumed);
        limits.max_values = limits.max_values.saturating_sub(response.header.len());
    }
}

/// The reason phrase of a status line: proxies often explain a failure there. Where it is empty, the
/// status' canonical reason.
fn reason(head: &[u8], response: &Response) -> String {
    const MAX_REASON_CHARS: usize = 200;
    let line = head.split(|&b| b == b'\n').next().unwrap_or_default();
    let told = line.get("HTTP/1.1 200 ".len()..).unwrap_or_default();
    let told = String::from_utf8_lossy(told);
    let told: String = told.trim().chars().filter(|c| !c.is_control()).take(MAX_REASON_CHARS).collect();
    if told.is_empty() { response.status.canonical_reason().unwrap_or_default().to_owned() } else { told }
}

fn misunderstood(refusal: Refusal) -> Error {
    refused(format!("the proxy's answer is no HTTP: {}", refusal.reason)).with_status(refusal.status)
}

fn broken(error: io::Error) -> Error {
    Error::new(ErrorKind::Io, "").with_source(error).during(Phase::Proxy)
}

fn refused(line: String) -> Error {
    Error::new(ErrorKind::Proxy, line).during(Phase::Proxy)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    static NOBODY: OwnField = OwnField::none();
    const LIMITS: HeadLimits = HeadLimits { max_bytes: 1000, max_values: 20 };

    fn connect(header: &Header) -> Connect<'_> {
        Connect { authority: "a.test:443", header, authorization: None, user_agent: &NOBODY }
    }

    /// Asks a proxy that answers in these pieces and closes then.
    async fn answered(pieces: &[&[u8]]) -> (Result<Response>, Io) {
        let (stream, mut proxy) = duplex(64 * 1024);
        let mut io = Io::new(stream);
        let answering = async {
            for piece in pieces {
                proxy.write_all(piece).await.unwrap();
                // A read returns this piece only.
                tokio::task::yield_now().await;
            }
            drop(proxy);
        };
        let header = Header::new();
        let connect = connect(&header);
        let (result, ()) = tokio::join!(tunnel(&mut io, &connect, &LIMITS, |_| Ok(())), answering);
        (result, io)
    }

    async fn line_of(answer: &str) -> String {
        answered(&[answer.as_bytes()]).await.0.unwrap_err().to_string()
    }

    /// What arrives at a proxy until it is asked for something whole.
    async fn asked(proxy: &mut DuplexStream) -> String {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            assert_ne!(proxy.read_buf(&mut request).await.unwrap(), 0);
        }
        String::from_utf8(request).unwrap()
    }

    #[tokio::test]
    async fn a_proxy_is_asked_with_the_callers_fields_and_the_credentials() {
        let (stream, mut proxy) = duplex(1024);
        let mut io = Io::new(stream);
        let header: Header = [("X-Own", "1"), ("Host", "no"), ("Content-Length", "5"), ("Proxy-Authorization", "no")]
            .into_iter()
            .collect();
        let connect = Connect {
            authorization: Some("Basic dTpw"),
            user_agent: &OwnField::new("User-Agent", "agent"),
            ..connect(&header)
        };
        let answering = async {
            let request = asked(&mut proxy).await;
            proxy.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            request
        };
        let (result, request) = tokio::join!(tunnel(&mut io, &connect, &LIMITS, |_| Ok(())), answering);
        result.unwrap();
        let expected = "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\nUser-Agent: agent\r\nX-Own: 1\r\n\
                        Proxy-Authorization: Basic dTpw\r\n\r\n";
        assert_eq!(request, expected);
        assert_eq!(header.get("Proxy-Authorization"), Some("no"), "the caller's header is not touched");
    }

    #[tokio::test]
    async fn what_comes_behind_the_answer_is_the_targets_however_it_is_cut() {
        let answer =
            b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 Established\r\nVia: p\r\nContent-Length: 9\r\n\r\nhello";
        for cut in 0..answer.len() {
            let (result, mut io) = answered(&[&answer[..cut], &answer[cut..]]).await;
            let response = result.unwrap();
            assert_eq!((response.status.as_u16(), response.header.get("Via")), (200, Some("p")), "cut at {cut}");
            while !io.ended {
                poll_fn(|cx| io.poll_fill(cx)).await.unwrap();
            }
            assert_eq!(&*io.input, b"hello", "cut at {cut}");
        }
    }

    #[test]
    fn a_tunnel_may_move_to_another_task() {
        fn is_send<T: Send>(_: T) {}
        let mut io = Io::new(tokio::io::empty());
        is_send(tunnel(&mut io, &connect(&Header::new()), &LIMITS, |_| Ok(())));
    }

    #[tokio::test]
    async fn each_status_of_success_is_one() {
        for status in ["200 OK", "204 No Content", "299"] {
            let answer = format!("HTTP/1.1 {status}\r\n\r\n");
            assert!(answered(&[answer.as_bytes()]).await.0.is_ok(), "{status}");
        }
    }

    #[tokio::test]
    async fn a_refusal_is_reported_with_its_status_and_reason() {
        for (answer, told) in [
            ("407 Who are you?\r\n\r\n", "407 Who are you?"),
            ("502 \r\n\r\n", "502 Bad Gateway"),
            ("503\r\nContent-Length: 3\r\n\r\nno", "503 Service Unavailable"),
            ("599\r\n\r\n", "599"),
            ("302 \u{9b}31m\r\nLocation: x\r\n\r\n", "302 31m"),
        ] {
            let line = line_of(&format!("HTTP/1.1 {answer}")).await;
            let expected = format!("the proxy does not connect to a.test:443: {told} (while talking to the proxy)");
            assert_eq!(line, expected);
        }
        let error = answered(&[b"HTTP/1.1 407 No\r\n\r\n"]).await.0.unwrap_err();
        assert_eq!((error.kind(), error.status().unwrap().as_u16()), (ErrorKind::Proxy, 407));
        assert_eq!(error.phase(), Some(Phase::Proxy));
    }

    #[tokio::test]
    async fn a_response_that_is_not_http_is_reported_as_such() {
        for answer in ["SSH-2.0-x\r\n", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "HTTP/1.1 x\r\n\r\n"]
        {
            let line = line_of(answer).await;
            assert!(line.starts_with("the proxy's answer is no HTTP: "), "{line}");
        }
        for answer in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 100 Continue\r\n\r\n"] {
            assert_eq!(line_of(answer).await, "the proxy closed before it had answered (while talking to the proxy)");
        }
    }

    #[tokio::test]
    async fn an_answer_without_an_end_is_cut_at_the_limit() {
        for endless in ["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 200 OK\r\n", "X: y\r\n"] {
            let start = if endless.starts_with('X') { "HTTP/1.1 200 OK\r\n" } else { "" };
            let (stream, mut proxy) = duplex(256);
            let mut io = Io::new(stream);
            let endlessly = async {
                proxy.write_all(start.as_bytes()).await.unwrap();
                loop {
                    proxy.write_all(endless.as_bytes()).await.unwrap();
                }
            };
            let header = Header::new();
            let connect = connect(&header);
            let result = tokio::select! {
                result = tunnel(&mut io, &connect, &LIMITS, |_| Ok(())) => result,
                () = endlessly => unreachable!(),
            };
            assert_eq!(result.unwrap_err().kind(), ErrorKind::Proxy);
        }
    }

    #[tokio::test]
    async fn a_hook_sees_every_answer_and_its_error_is_the_tunnels() {
        let (stream, mut proxy) = duplex(1024);
        proxy.write_all(b"HTTP/1.1 403 No\r\nX-Why: because\r\n\r\n").await.unwrap();
        let hook = |response: &Response| Err(Error::other(response.header.get("X-Why").unwrap().to_owned()));
        let error = tunnel(&mut Io::new(stream), &connect(&Header::new()), &LIMITS, hook).await.unwrap_err();
        assert_eq!(error.to_string(), "because");
    }

    #[tokio::test]
    async fn what_cannot_be_asked_is_not() {
        let bad: Header = [("X", "a\r\nb: c")].into_iter().collect();
        let good = Header::new();
        for connect in [
            connect(&bad),
            Connect { authority: "a.test", ..connect(&good) },
            Connect { authority: "a.test:443\r\nX: y", ..connect(&good) },
        ] {
            let (stream, mut proxy) = duplex(1024);
            let error = tunnel(&mut Io::new(stream), &connect, &LIMITS, |_| Ok(())).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            let mut written = Vec::new();
            proxy.read_to_end(&mut written).await.unwrap();
            assert_eq!(written, b"");
        }
    }
}
