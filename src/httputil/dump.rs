//! Dumps: what a message has, for people who look for an error.

use std::borrow::Cow;

use bytes::Bytes;

use crate::error::Result;
use crate::message::{Body, Header, Request, Response, without_credentials};

/// How messages are dumped: with up to 64 KiB of their content, and without secrets.
///
/// Secrets are the values of `Authorization`, `Proxy-Authorization`, `Cookie` and `Set-Cookie`, and the user
/// and the password in a target; `[redacted]` stands in their place. What else is secret only the program
/// knows: [`redact`](Dump::redact). The content is dumped as it is.
///
/// The form is that of HTTP/1.1, for messages of HTTP/2 too. Content is not in chunks in it, whatever it
/// came in, and what is cut off at the limit leaves no mark.
///
/// ```
/// use nethttp::Response;
/// use nethttp::httputil::Dump;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> nethttp::Result<()> {
/// let mut response = Response::new("hello").with_header("X-Api-Key", "31d4d96e");
/// let dump = Dump::new().redact("X-Api-Key").content_limit(4).response(&mut response).await?;
/// assert_eq!(dump, "HTTP/1.1 200 OK\r\nX-Api-Key: [redacted]\r\nContent-Length: 5\r\n\r\nhell");
/// assert_eq!(response.text().await?, "hello");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Dump {
    content_limit: u64,
    secrets: Secrets,
    also_secret: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Secrets {
    Redacted,
    Shown,
}

const DEFAULT_CONTENT_LIMIT_BYTES: u64 = 64 << 10;

const SECRET_FIELDS: [&str; 4] = ["Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie"];

const REDACTED: &str = "[redacted]";

impl Default for Dump {
    fn default() -> Dump {
        Dump::new()
    }
}

impl Dump {
    /// With up to 64 KiB of the content, and without secrets.
    pub const fn new() -> Dump {
        Dump { content_limit: DEFAULT_CONTENT_LIMIT_BYTES, secrets: Secrets::Redacted, also_secret: Vec::new() }
    }

    /// So many bytes of the content are dumped, and held in memory until the content is read. 0 dumps the
    /// head alone, and reads nothing.
    #[must_use]
    pub fn content_limit(mut self, bytes: u64) -> Dump {
        self.content_limit = bytes;
        self
    }

    /// The values of fields of this name are secret too.
    #[must_use]
    pub fn redact(mut self, name: impl Into<String>) -> Dump {
        self.also_secret.push(name.into());
        self
    }

    /// All values are shown, passwords and session cookies among them.
    #[must_use]
    pub fn show_secrets(mut self) -> Dump {
        self.secrets = Secrets::Shown;
        self
    }

    /// A request as a server received it; of one that was made by hand, what it has.
    ///
    /// Of content that is still to come, as much as is dumped is waited for. It can be read afterwards, but
    /// for what had come when this was dropped before it was done.
    ///
    /// # Errors
    /// As [`Body::chunk`]; the content fails in the same way when it is read.
    pub async fn request(&self, request: &mut Request) -> Result<Bytes> {
        let mut dump = format!("{} {} {:?}\r\n", request.method, self.target(request), request.proto).into_bytes();
        if !request.host.is_empty() {
            let host = Header::from_iter([("Host", request.host.as_str())]);
            self.append_fields(&mut dump, &host);
        }
        self.append_fields(&mut dump, &request.header);
        append_length(&mut dump, &request.header, request.content_length.filter(|length| *length > 0));
        self.append_content(dump, &mut request.body).await
    }

    /// A response; of one that a client got, the content as it is read, without its content coding.
    ///
    /// Waits, and may be dropped, as [`request`](Dump::request) does.
    ///
    /// # Errors
    /// As [`request`](Dump::request).
    pub async fn response(&self, response: &mut Response) -> Result<Bytes> {
        let (version, status) = (response.proto, response.status.as_str());
        let reason = response.status.canonical_reason().unwrap_or_default();
        let mut dump = format!("{version:?} {status} {reason}\r\n").into_bytes();
        self.append_fields(&mut dump, &response.header);
        append_length(&mut dump, &response.header, response.content_length);
        self.append_content(dump, &mut response.body).await
    }

    /// A request as [`Transport`](crate::Transport) would send it over HTTP/1.1 and without a proxy, with the
    /// fields that it adds by default: `Host`, `User-Agent`, `Accept-Encoding`, and the length.
    ///
    /// Waits, and may be dropped, as [`request`](Dump::request) does. The cookies of a client's jar and the
    /// credentials in a URL are added by [`Client`](crate::Client), and are not in it.
    ///
    /// # Errors
    /// As [`request`](Dump::request); those of [`Client::send`](crate::Client::send) for what may not be
    /// sent.
    #[cfg(feature = "client")]
    pub async fn request_out(&self, request: &mut Request) -> Result<Bytes> {
        let mut shown = request.clone_head();
        shown.header = self.redacted(&request.header).into_owned();
        shown.set_body(request.body.take_replayable());
        shown.content_length = request.content_length;
        let mut transport = crate::client::Transport::new();
        transport.proxy = crate::client::Proxy::none();
        let head = transport.head_as_sent(&shown);
        // Where it came from before what went wrong is told.
        request.body = std::mem::take(&mut shown.body);
        let (head, _) = head?;
        self.append_content(head, &mut request.body).await
    }

    /// The target as received, else path and query.
    fn target(&self, request: &Request) -> String {
        let has_credentials = request.uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
        if self.secrets == Secrets::Redacted && has_credentials {
            return without_credentials(&request.uri);
        }
        if request.request_uri.is_empty() {
            return request.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        }
        request.request_uri.clone()
    }

    fn append_fields(&self, dump: &mut Vec<u8>, header: &Header) {
        // A vector takes all that is written to it.
        let _ = self.redacted(header).write(dump);
    }

    fn redacted<'a>(&self, header: &'a Header) -> Cow<'a, Header> {
        if self.secrets == Secrets::Shown {
            return Cow::Borrowed(header);
        }
        let also = self.also_secret.iter().map(String::as_str);
        let is_secret =
            |name: &str| SECRET_FIELDS.into_iter().chain(also.clone()).any(|it| it.eq_ignore_ascii_case(name));
        let shown = |(name, value)| (name, if is_secret(name) { REDACTED.as_bytes() } else { value });
        Cow::Owned(header.iter().map(shown).collect())
    }

    async fn append_content(&self, mut dump: Vec<u8>, body: &mut Body) -> Result<Bytes> {
        if !dump.ends_with(b"\r\n\r\n") {
            dump.extend_from_slice(b"\r\n");
        }
        if self.content_limit > 0 {
            dump.extend_from_slice(&body.peek(self.content_limit).await?);
        }
        Ok(dump.into())
    }
}

/// The length that a message has beside its fields.
fn append_length(dump: &mut Vec<u8>, header: &Header, length: Option<u64>) {
    if let Some(length) = length.filter(|_| !header.contains("Content-Length")) {
        dump.extend_from_slice(format!("Content-Length: {length}\r\n").as_bytes());
    }
}

/// A request as a server received it, with 64 KiB of its content and without secrets (Go's `DumpRequest`);
/// see [`Dump`].
///
/// # Errors
/// As [`Dump::request`].
pub async fn dump_request(request: &mut Request) -> Result<Bytes> {
    Dump::new().request(request).await
}

/// A request as a client would send it, with 64 KiB of its content and without secrets (Go's
/// `DumpRequestOut`); see [`Dump`].
///
/// # Errors
/// As [`Dump::request_out`].
#[cfg(feature = "client")]
pub async fn dump_request_out(request: &mut Request) -> Result<Bytes> {
    Dump::new().request_out(request).await
}

/// A response with 64 KiB of its content and without secrets (Go's `DumpResponse`); see [`Dump`].
///
/// # Errors
/// As [`Dump::request`].
pub async fn dump_response(response: &mut Response) -> Result<Bytes> {
    Dump::new().response(response).await
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode, Uri, Version};

    use super::*;

    fn text(dump: &Bytes) -> &str {
        std::str::from_utf8(dump).unwrap()
    }

    fn request(content: impl Into<Body>) -> Request {
        let mut request = Request::new(Method::POST, Uri::from_static("http://u:p@a.test:81/x?y=1"), content);
        for (name, value) in [("Authorization", "Basic c2VjcmV0"), ("cookie", "id=SECRET"), ("X-Key", "SECRET")] {
            request.header.add(name, value);
        }
        request
    }

    #[tokio::test]
    async fn a_request_is_dumped_as_received_and_its_content_is_there_afterwards() {
        let mut request = request("content");
        request.request_uri = "/x?y=1".into();
        request.uri = Uri::from_static("/x?y=1");
        let dump = Dump::new().show_secrets().request(&mut request).await.unwrap();
        let expected = "POST /x?y=1 HTTP/1.1\r\nHost: a.test:81\r\nAuthorization: Basic c2VjcmV0\r\n\
                        cookie: id=SECRET\r\nX-Key: SECRET\r\nContent-Length: 7\r\n\r\ncontent";
        assert_eq!(text(&dump), expected);
        assert_eq!(request.body.text().await.unwrap(), "content");
    }

    #[tokio::test]
    async fn secrets_are_redacted_unless_they_are_asked_for() {
        let mut request = request("");
        let dump = Dump::new().redact("x-key").request(&mut request).await.unwrap();
        let expected = "POST http://a.test:81/x?y=1 HTTP/1.1\r\nHost: a.test:81\r\nAuthorization: [redacted]\r\n\
                        cookie: [redacted]\r\nX-Key: [redacted]\r\n\r\n";
        assert_eq!(text(&dump), expected);
        let mut response = Response::new("").with_header("Set-Cookie", "id=SECRET").with_status(StatusCode::NOT_FOUND);
        response.proto = Version::HTTP_2;
        let dump = dump_response(&mut response).await.unwrap();
        assert_eq!(text(&dump), "HTTP/2.0 404 Not Found\r\nSet-Cookie: [redacted]\r\nContent-Length: 0\r\n\r\n");
    }

    #[cfg(feature = "client")]
    #[tokio::test]
    async fn a_request_that_goes_out_has_what_the_transport_adds() {
        let mut request = request("content");
        request.header.del("cookie");
        let dump = dump_request_out(&mut request).await.unwrap();
        let text = text(&dump);
        assert!(text.starts_with("POST /x?y=1 HTTP/1.1\r\nHost: a.test:81\r\nUser-Agent: nethttp/"), "{text}");
        assert!(text.contains("\r\nAuthorization: [redacted]\r\nX-Key: SECRET\r\n"), "{text}");
        assert!(text.ends_with("Content-Length: 7\r\n\r\ncontent"), "{text}");
        assert_eq!(request.header.get("Authorization"), Some("Basic c2VjcmV0"), "the request keeps its secret");
        assert_eq!((request.content_length, request.body.text().await.unwrap().as_str()), (Some(7), "content"));
        request.header.set("X-Bad", "a\r\nb");
        let error = dump_request_out(&mut request).await.unwrap_err();
        assert_eq!(error.kind(), crate::error::ErrorKind::Invalid);
    }

    #[tokio::test]
    async fn as_much_of_streaming_content_is_waited_for_as_is_dumped() {
        let pieces =
            ["one ", "two ", "three"].map(|piece| Ok::<_, std::io::Error>(Bytes::from_static(piece.as_bytes())));
        let mut request = request(Body::from_stream(Pieces(pieces.into_iter().collect())));
        let dump = Dump::new().content_limit(6).request(&mut request).await.unwrap();
        assert!(text(&dump).ends_with("\r\n\r\none tw"));
        let dump = Dump::new().content_limit(0).request(&mut request).await.unwrap();
        assert!(text(&dump).ends_with("\r\n\r\n"));
        assert_eq!(request.body.text().await.unwrap(), "one two three");
    }

    #[tokio::test]
    async fn content_that_breaks_breaks_its_dump_and_then_its_reader() {
        let pieces = [Ok(Bytes::from_static(b"one")), Err(std::io::Error::other("broken"))];
        let mut response = Response::new(Body::from_stream(Pieces(pieces.into_iter().collect())));
        assert!(dump_response(&mut response).await.unwrap_err().to_string().contains("broken"));
        assert_eq!(response.body.chunk().await.unwrap().unwrap(), "one");
        assert!(response.body.chunk().await.unwrap_err().to_string().contains("broken"));
    }

    #[tokio::test]
    async fn a_limit_of_the_content_counts_what_was_dumped_once() {
        let pieces = [Ok::<_, std::io::Error>(Bytes::from_static(b"one")), Ok(Bytes::from_static(b"two"))];
        let mut response = Response::new(Body::from_stream(Pieces(pieces.into_iter().collect())));
        response.body.limit(6);
        dump_response(&mut response).await.unwrap();
        assert_eq!(response.body.text().await.unwrap(), "onetwo");
    }

    struct Pieces(std::collections::VecDeque<std::io::Result<Bytes>>);

    impl futures_core::Stream for Pieces {
        type Item = std::io::Result<Bytes>;

        fn poll_next(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Self::Item>> {
            std::task::Poll::Ready(self.0.pop_front())
        }
    }
}
