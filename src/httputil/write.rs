//! Messages written in the form of HTTP/1.1 to any writer.

use http::{Method, Version};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::error::{Error, ErrorKind, Phase, Result};
use crate::h1::{
    ConnectionField, Outgoing, OutgoingResponse, ResponseToSend, declared_length, encode_chunk_end, encode_chunk_head,
    encode_last_chunk, encode_response_head, may_send_content, outgoing_response,
};
use crate::message::{Body, Header, Request, Response};

/// Writes a request as a client sends it to its server (Go's `Request.Write`), with `User-Agent` and the
/// fields that frame its content. The content is read to its end: with a known length it is written as it is,
/// else in chunks.
///
/// ```
/// use nethttp::{Request, httputil};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> nethttp::Result<()> {
/// let mut request = Request::post("http://a.test/x", "hello")?.with_header("User-Agent", "");
/// let mut bytes = Vec::new();
/// httputil::write_request(&mut bytes, &mut request).await?;
/// assert_eq!(bytes, b"POST /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello");
/// # Ok(())
/// # }
/// ```
///
/// Not cancel safe: a call that is dropped may have written a part.
///
/// # Errors
/// [`ErrorKind::Invalid`] for what may not be sent, of which nothing is written then, as
/// [`Client::send`](crate::Client::send) has it; those of the content, [`ErrorKind::ContentLength`] where it is
/// not as long as was declared; those of the writer.
#[cfg(feature = "client")]
pub async fn write_request<W: AsyncWrite + Unpin>(writer: &mut W, request: &mut Request) -> Result<()> {
    write_as(&plain_transport(), writer, request).await
}

/// The same as it is sent to an HTTP proxy (Go's `Request.WriteProxy`): the target is the whole URL, without
/// user and password. For `https` it is as in [`write_request`]: such requests go through a tunnel, of which
/// the proxy sees nothing.
///
/// # Errors
/// As [`write_request`].
#[cfg(feature = "client")]
pub async fn write_proxy_request<W: AsyncWrite + Unpin>(writer: &mut W, request: &mut Request) -> Result<()> {
    let mut transport = plain_transport();
    transport.proxy = crate::client::Proxy::url("http://proxy.invalid")?;
    write_as(&transport, writer, request).await
}

#[cfg(feature = "client")]
fn plain_transport() -> crate::client::Transport {
    let mut transport = crate::client::Transport::new();
    transport.proxy = crate::client::Proxy::none();
    // Who reads the response is not known, nor whether it decodes.
    transport.disable_compression = true;
    transport
}

#[cfg(feature = "client")]
async fn write_as<W: AsyncWrite + Unpin>(
    transport: &crate::client::Transport,
    writer: &mut W,
    request: &mut Request,
) -> Result<()> {
    let (head, outgoing) = transport.head_as_sent(request)?;
    writer.write_all(&head).await.map_err(written)?;
    let trailer = std::mem::take(&mut request.trailer);
    write_content(writer, &mut request.body, outgoing, trailer).await
}

/// Writes a response as a server sends it to a request of this method (Go's `Response.Write`), with the fields
/// that frame its content: with a known length it is written as it is, else in chunks, and for HTTP/1.0 until
/// the end of the connection. HEAD and statuses without content have none.
///
/// ```
/// use nethttp::{Method, Response, httputil};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> nethttp::Result<()> {
/// let mut bytes = Vec::new();
/// httputil::write_response(&mut bytes, &mut Response::new("hello"), &Method::GET).await?;
/// assert_eq!(bytes, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
/// # Ok(())
/// # }
/// ```
///
/// Not cancel safe: a call that is dropped may have written a part.
///
/// # Errors
/// [`ErrorKind::Invalid`] for a `Content-Length` that is none; [`ErrorKind::ContentLength`] where the content
/// is not as long as it says; those of the content and of the writer.
pub async fn write_response<W: AsyncWrite + Unpin>(
    writer: &mut W,
    response: &mut Response,
    method: &Method,
) -> Result<()> {
    let is_head = *method == Method::HEAD;
    let outgoing = outgoing_response(&OutgoingResponse {
        head_request: is_head,
        connect_request: *method == Method::CONNECT,
        http10: response.proto == Version::HTTP_10,
        status: response.status,
        declared: declared_length(&response.header)?,
        whole: response.body.remaining(),
        trailers: false,
        close_delimited: false,
    });
    let closes = outgoing == Outgoing::UntilClose || response.header.has_token("Connection", "close");
    let mut head = Vec::new();
    encode_response_head(
        &mut head,
        &ResponseToSend {
            version: if response.proto == Version::HTTP_10 { Version::HTTP_10 } else { Version::HTTP_11 },
            status: response.status,
            header: &response.header,
            outgoing,
            connection: if closes { ConnectionField::Close } else { ConnectionField::Nothing },
            content_type: None,
            date: None,
        },
    );
    writer.write_all(&head).await.map_err(written)?;
    if is_head || !may_send_content(response.status) {
        return writer.flush().await.map_err(written);
    }
    write_content(writer, &mut response.body, outgoing, Header::new()).await
}

/// Writes content as its head has announced it. A trailer that came with the content goes behind chunks.
async fn write_content<W: AsyncWrite + Unpin>(
    writer: &mut W,
    body: &mut Body,
    outgoing: Outgoing,
    mut trailer: Header,
) -> Result<()> {
    let mut left = match outgoing {
        Outgoing::None | Outgoing::HeadUnknown => Some(0),
        Outgoing::Length(length) => Some(length),
        Outgoing::Chunked | Outgoing::UntilClose => None,
    };
    let in_chunks = outgoing == Outgoing::Chunked;
    let mut framing = Vec::new();
    while let Some(chunk) = body.chunk().await? {
        if let Some(left) = &mut left {
            *left = left
                .checked_sub(chunk.len() as u64)
                .ok_or_else(|| Error::new(ErrorKind::ContentLength, "the content is longer than its Content-Length"))?;
        }
        if in_chunks {
            framing.clear();
            encode_chunk_head(&mut framing, chunk.len());
            writer.write_all(&framing).await.map_err(written)?;
        }
        writer.write_all(&chunk).await.map_err(written)?;
        if in_chunks {
            framing.clear();
            encode_chunk_end(&mut framing);
            writer.write_all(&framing).await.map_err(written)?;
        }
    }
    if left.is_some_and(|left| left > 0) {
        return Err(Error::new(ErrorKind::ContentLength, "the content is shorter than its Content-Length"));
    }
    if in_chunks {
        if let Some(came) = body.trailer() {
            trailer.extend(came.iter());
        }
        framing.clear();
        encode_last_chunk(&mut framing, &trailer);
        writer.write_all(&framing).await.map_err(written)?;
    }
    writer.flush().await.map_err(written)
}

fn written(error: std::io::Error) -> Error {
    Error::from(error).during(Phase::Write)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::StatusCode;

    use super::*;

    struct Pieces(std::vec::IntoIter<&'static str>);

    impl futures_core::Stream for Pieces {
        type Item = std::io::Result<Bytes>;

        fn poll_next(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Self::Item>> {
            std::task::Poll::Ready(self.0.next().map(|piece| Ok(Bytes::from_static(piece.as_bytes()))))
        }
    }

    fn streaming(pieces: Vec<&'static str>) -> Body {
        Body::from_stream(Pieces(pieces.into_iter()))
    }

    async fn response(mut response: Response, method: Method) -> Result<String> {
        let mut bytes = Vec::new();
        write_response(&mut bytes, &mut response, &method).await?;
        Ok(String::from_utf8(bytes).unwrap())
    }

    #[tokio::test]
    async fn nothing_waits_in_a_buffer_behind_a_response_without_content() {
        for (status, method) in [(200, Method::HEAD), (304, Method::GET), (200, Method::GET)] {
            let mut writer = tokio::io::BufWriter::new(Vec::new());
            let mut response = Response::new("").with_status(StatusCode::from_u16(status).unwrap());
            write_response(&mut writer, &mut response, &method).await.unwrap();
            assert!(writer.buffer().is_empty() && writer.get_ref().starts_with(b"HTTP/1.1 "), "{status}");
        }
    }

    #[tokio::test]
    async fn a_response_is_framed_by_its_content_its_version_and_its_request() {
        let of = |body: Body| Response::new(body).with_header("X", "1\r\n2");
        let http10 = |body: Body| {
            let mut response = Response::new(body);
            response.proto = Version::HTTP_10;
            response
        };
        for (made, method, expected) in [
            (of("ab".into()), Method::GET, "HTTP/1.1 200 OK\r\nX: 1  2\r\nContent-Length: 2\r\n\r\nab"),
            (of("ab".into()), Method::HEAD, "HTTP/1.1 200 OK\r\nX: 1  2\r\nContent-Length: 2\r\n\r\n"),
            (
                Response::new(streaming(vec!["ab", "c"])),
                Method::GET,
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
            ),
            (http10(streaming(vec!["ab"])), Method::GET, "HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nab"),
            (
                Response::new("ab").with_status(StatusCode::NOT_MODIFIED),
                Method::GET,
                "HTTP/1.1 304 Not Modified\r\n\r\n",
            ),
        ] {
            assert_eq!(response(made, method).await.unwrap(), expected);
        }
    }

    #[tokio::test]
    async fn content_is_as_long_as_was_declared_or_an_error() {
        for (pieces, length) in [(vec!["ab"], "3"), (vec!["ab", "cd"], "3"), (vec!["ab"], "x")] {
            let made = Response::new(streaming(pieces)).with_header("Content-Length", length);
            let kind = response(made, Method::GET).await.unwrap_err().kind();
            assert_eq!(kind, if length == "x" { ErrorKind::Invalid } else { ErrorKind::ContentLength });
        }
    }

    #[cfg(feature = "client")]
    #[tokio::test]
    async fn a_request_is_written_for_a_server_or_a_proxy() {
        let made = |url: &str, body: Body| Request::post(url, body).unwrap().with_header("User-Agent", "a");
        let mut bytes = Vec::new();
        write_request(&mut bytes, &mut made("http://u:p@a.test:81/x?y", "ab".into())).await.unwrap();
        let expected = "POST /x?y HTTP/1.1\r\nHost: a.test:81\r\nUser-Agent: a\r\nContent-Length: 2\r\n\r\nab";
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);

        let mut bytes = Vec::new();
        let mut request = made("http://u:p@a.test:81/x?y", streaming(vec!["ab"]));
        request.trailer.set("Digest", "x");
        write_proxy_request(&mut bytes, &mut request).await.unwrap();
        let expected = "POST http://a.test:81/x?y HTTP/1.1\r\nHost: a.test:81\r\nUser-Agent: a\r\n\
                        Transfer-Encoding: chunked\r\nTrailer: Digest\r\n\r\n2\r\nab\r\n0\r\nDigest: x\r\n\r\n";
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);

        let mut bytes = Vec::new();
        let mut bad = made("http://a.test/", "".into()).with_header("X", "1\r\n2");
        assert_eq!(write_request(&mut bytes, &mut bad).await.unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(bytes, b"");
    }
}
