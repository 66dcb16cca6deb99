//! Forms to be sent: parts of text, bytes, files and streams (RFC 7578).

use std::collections::VecDeque;
use std::fmt::{self, Write as _};
use std::path::Path;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::path_source;
use crate::error::{Error, ErrorKind, Result};
use crate::message::{Body, Frame, Header, Request, Source, has_control, is_token, random_boundary, type_by_extension};

/// A form to be sent as `multipart/form-data` (RFC 7578; Go's `multipart.Writer`): values, and files with them.
///
/// Its parts are sent in the order in which they were added; several may have one name. Content in memory is not
/// copied, files are read while they are sent. The length is announced where that of each part is known, and the
/// form is sent again after a redirect with 307 or 308, or on another connection, where each part can be had again:
/// text, bytes and files always can.
///
/// Names and file names are escaped as browsers do (HTML, "multipart form data"): a quote is sent as `%22`, a line
/// end as `%0D%0A`, and everything else as it is, in UTF-8.
///
/// ```
/// use nethttp::forms::{Form, FormPart};
/// use nethttp::{Request, testing};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> nethttp::Result<()> {
/// let notes = FormPart::new("one, two").with_file_name("notes.txt");
/// let form = Form::new().text("title", "Holidays").part("notes", notes);
/// // A client sends it with `client.send(Request::post(url, "")?.with_multipart(form)?)`.
/// let mut request = testing::request("POST", "/").with_multipart(form)?;
///
/// let received = request.multipart_form(1 << 20).await?;
/// assert_eq!(received.values().get("title"), Some("Holidays"));
/// assert_eq!(received.file("notes")?.header.get("Content-Type"), Some("text/plain"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct Form {
    parts: Vec<(String, FormPart)>,
}

/// One part of a [`Form`] to be sent: its content, and what is said of it.
pub struct FormPart {
    content: Body,
    file_name: Option<String>,
    header: Header,
}

/// Forms in memory up to this size are sent as one piece.
const MAX_JOINED_BYTES: u64 = 64 << 10;

impl Form {
    /// A form without parts.
    pub const fn new() -> Form {
        Form { parts: Vec::new() }
    }

    /// The same with this value behind the others.
    #[must_use]
    pub fn text(self, name: impl Into<String>, value: impl Into<String>) -> Form {
        self.part(name, FormPart::new(value.into()))
    }

    /// The same with this file behind the other parts: see [`FormPart::file`].
    ///
    /// # Errors
    /// As [`FormPart::file`].
    pub async fn file(self, name: impl Into<String>, path: impl AsRef<Path>) -> Result<Form> {
        Ok(self.part(name, FormPart::file(path).await?))
    }

    /// The same with this part behind the others.
    #[must_use]
    pub fn part(mut self, name: impl Into<String>, part: FormPart) -> Form {
        self.parts.push((name.into(), part));
        self
    }

    /// Its content and the boundary between its parts.
    fn into_body(self, boundary: &str) -> Result<Body> {
        let mut pieces = Vec::new();
        let mut between = String::new();
        for (name, part) in self.parts {
            write_head(&mut between, boundary, &name, &part)?;
            pieces.extend([Body::from(std::mem::take(&mut between)), part.content]);
            between.push_str("\r\n");
        }
        let _ = write!(between, "--{boundary}--\r\n");
        pieces.push(Body::from(between));
        joined(pieces)
    }
}

impl FormPart {
    /// A part with this content: text, bytes, or any [`Body`]. One that comes as a stream can be sent once, and its
    /// length is not known; [`Body::from_fn`] makes a stream again for each time it is sent.
    ///
    /// It is a value unless it gets a [name of a file](Self::with_file_name).
    pub fn new(content: impl Into<Body>) -> FormPart {
        FormPart { content: content.into(), file_name: None, header: Header::new() }
    }

    /// The file of this path, under its own name without folders. It is read while it is sent, in pieces of 64 KiB
    /// on threads that may block, and opened anew each time it is sent.
    ///
    /// As many bytes are sent as it has now, because their number is announced: what is added later is not sent, and
    /// one that has become shorter fails the request.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] with the path, where there is no such file or it cannot be read; [`ErrorKind::Invalid`] for
    /// what is no regular file. A pipe is sent as a stream, with [`new`](Self::new).
    pub async fn file(path: impl AsRef<Path>) -> Result<FormPart> {
        let path = path.as_ref();
        let content = path_source::body_of(path).await?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Ok(FormPart::new(content).with_file_name(name))
    }

    /// The same as a file of this name, which is sent as it is, folders included. Without a `Content-Type` of its
    /// own it gets the one that belongs to the end of the name, or `application/octet-stream`.
    #[must_use]
    pub fn with_file_name(self, name: impl Into<String>) -> FormPart {
        FormPart { file_name: Some(name.into()), ..self }
    }

    /// The same with this `Content-Type`.
    #[must_use]
    pub fn with_content_type(self, content_type: impl AsRef<str>) -> FormPart {
        self.with_header("Content-Type", content_type.as_ref())
    }

    /// The same with this field in its head. RFC 7578 §4.8 lets receivers ignore all but `Content-Type`.
    #[must_use]
    pub fn with_header(mut self, name: impl AsRef<str>, value: impl AsRef<[u8]>) -> FormPart {
        self.header.set(name, value);
        self
    }
}

impl Request {
    /// Puts this form in as content, and its type in place of the `Content-Type`, because that says the boundary.
    /// The boundary is made of random numbers, so that no content can be made to contain it.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a name with a control character other than a line end, and for a field of a part
    /// that is malformed or called `Content-Disposition`. The request is as before then.
    pub fn set_multipart(&mut self, form: Form) -> Result<()> {
        let boundary = random_boundary();
        self.set_body(form.into_body(&boundary)?);
        self.header.set("Content-Type", format!("multipart/form-data; boundary={boundary}"));
        Ok(())
    }

    /// The same with this form as content; see [`set_multipart`](Request::set_multipart).
    ///
    /// ```no_run
    /// use nethttp::forms::Form;
    /// use nethttp::{Client, Request};
    ///
    /// # async fn example() -> nethttp::Result<()> {
    /// let form = Form::new().text("album", "summer").file("photo", "beach.jpg").await?;
    /// let request = Request::post("https://example.com/photos", "")?.with_multipart(form)?;
    /// Client::new().send(request).await?.error_for_status()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`set_multipart`](Request::set_multipart).
    pub fn with_multipart(mut self, form: Form) -> Result<Request> {
        self.set_multipart(form)?;
        Ok(self)
    }
}

impl fmt::Debug for FormPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the content: it may be a secret, and is often long.
        let length = self.content.remaining();
        f.debug_struct("FormPart").field("file_name", &self.file_name).field("length", &length).finish_non_exhaustive()
    }
}

/// The delimiter, and the head of a part up to its content.
fn write_head(text: &mut String, boundary: &str, name: &str, part: &FormPart) -> Result<()> {
    let name = quoted(&with_crlf(name))?;
    let _ = write!(text, "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"");
    if let Some(file_name) = &part.file_name {
        let _ = write!(text, "; filename=\"{}\"", quoted(file_name)?);
        if !part.header.contains("Content-Type") {
            let _ = write!(text, "\r\nContent-Type: {}", type_of(file_name));
        }
    }
    for (name, value) in part.header.iter() {
        let value = std::str::from_utf8(value).ok().filter(|value| !has_control(value.as_bytes()));
        let Some(value) = value.filter(|_| is_token(name.as_bytes())) else {
            return Err(Error::new(ErrorKind::Invalid, "a field of a part of a form is malformed"));
        };
        if name.eq_ignore_ascii_case("Content-Disposition") {
            return Err(Error::new(ErrorKind::Invalid, "the Content-Disposition of a part is written from its names"));
        }
        let _ = write!(text, "\r\n{name}: {value}");
    }
    text.push_str("\r\n\r\n");
    Ok(())
}

/// What may stand between quotes (HTML, "multipart form data"): line ends and quotes escaped, nothing else. Other
/// control characters cannot stand in a head at all.
fn quoted(name: &str) -> Result<String> {
    let escaped = name.replace('\r', "%0D").replace('\n', "%0A").replace('"', "%22");
    match has_control(escaped.as_bytes()) {
        true => Err(Error::new(ErrorKind::Invalid, "a name in a form has a control character")),
        false => Ok(escaped),
    }
}

/// Line ends of each kind as CRLF, which browsers do to names and not to names of files.
fn with_crlf(name: &str) -> String {
    name.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n")
}

/// Without the charset: the file is somebody's, and what it is written in is not known here.
fn type_of(file_name: &str) -> &'static str {
    let known = type_by_extension(file_name.as_ref()).unwrap_or("application/octet-stream");
    known.split(';').next().unwrap_or(known)
}

/// The pieces one after the other, to be had again where each of them can be.
fn joined(pieces: Vec<Body>) -> Result<Body> {
    if let Some(whole) = in_memory(&pieces) {
        return Ok(Body::from(whole));
    }
    if !pieces.iter().all(Body::is_replayable) {
        return Ok(Body::from_source(JoinedBodies { pieces: pieces.into() }));
    }
    Body::from_fn(move || {
        let again = pieces.iter().map(|piece| {
            let again = piece.try_clone()?;
            again.ok_or_else(|| Error::new(ErrorKind::RequestOver, "a part of the form was sent"))
        });
        Ok(Body::from_source(JoinedBodies { pieces: again.collect::<Result<_>>()? }))
    })
}

/// All of a short form, where it is in memory.
fn in_memory(pieces: &[Body]) -> Option<Bytes> {
    let is_short = total(pieces.iter().map(Body::remaining)).is_some_and(|length| length <= MAX_JOINED_BYTES);
    if !is_short || !pieces.iter().all(Body::is_in_memory) {
        return None;
    }
    let mut whole = Vec::new();
    for piece in pieces {
        whole.extend_from_slice(&piece.try_clone().ok()??.take_memory()?);
    }
    Some(whole.into())
}

/// Bodies one after the other. Their trailers are dropped: no part has one.
struct JoinedBodies {
    pieces: VecDeque<Body>,
}

fn total(mut lengths: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    lengths.try_fold(0_u64, |total, length| total.checked_add(length?))
}

impl Source for JoinedBodies {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        while let Some(piece) = self.pieces.front_mut() {
            match ready!(piece.poll_chunk(cx)) {
                Some(Ok(chunk)) if chunk.is_empty() => {}
                Some(chunk) => return Poll::Ready(Some(chunk.map(Frame::Data))),
                None => drop(self.pieces.pop_front()),
            }
        }
        Poll::Ready(None)
    }

    fn remaining(&self) -> Option<u64> {
        total(self.pieces.iter().map(Body::remaining))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(form: Form) -> String {
        let body = form.into_body("x").unwrap();
        assert!(body.is_in_memory() && body.is_replayable());
        let bytes = { body }.take_memory().unwrap();
        String::from_utf8(bytes.into()).unwrap()
    }

    #[test]
    fn a_form_is_its_parts_between_lines_of_the_boundary() {
        let file = FormPart::new(&b"{}"[..]).with_file_name("a.JSON");
        let odd = FormPart::new("?").with_file_name("b.odd").with_header("X-Note", "n");
        let typed = FormPart::new("y").with_file_name("c.txt").with_content_type("text/x-own");
        let form = Form::new().text("one", "1\n2").part("two", file).part("two", odd).part("four", typed);
        assert_eq!(
            text_of(form),
            "--x\r\nContent-Disposition: form-data; name=\"one\"\r\n\r\n1\n2\r\n\
             --x\r\nContent-Disposition: form-data; name=\"two\"; filename=\"a.JSON\"\r\n\
             Content-Type: application/json\r\n\r\n{}\r\n\
             --x\r\nContent-Disposition: form-data; name=\"two\"; filename=\"b.odd\"\r\n\
             Content-Type: application/octet-stream\r\nX-Note: n\r\n\r\n?\r\n\
             --x\r\nContent-Disposition: form-data; name=\"four\"; filename=\"c.txt\"\r\n\
             Content-Type: text/x-own\r\n\r\ny\r\n--x--\r\n"
        );
        assert_eq!(text_of(Form::new()), "--x--\r\n");
    }

    #[test]
    fn names_are_escaped_as_browsers_do() {
        // Of a name each line end is CRLF, of a file's name it stays what it is.
        for (name, escaped, of_file) in [
            ("a\"b", "a%22b", "a%22b"),
            ("a\nb", "a%0D%0Ab", "a%0Ab"),
            ("a\rb\r\n\nc", "a%0D%0Ab%0D%0A%0D%0Ac", "a%0Db%0D%0A%0Ac"),
            ("50% \\ \u{20ac};'", "50% \\ \u{20ac};'", "50% \\ \u{20ac};'"),
        ] {
            let form = Form::new().part(name, FormPart::new("").with_file_name(name));
            let said = format!("form-data; name=\"{escaped}\"; filename=\"{of_file}\"\r\n");
            assert!(text_of(form).contains(&said), "{name:?}");
        }
    }

    #[test]
    fn what_would_break_a_head_is_refused_and_the_request_stays_as_it_was() {
        let mut request = Request::new(http::Method::POST, http::Uri::from_static("http://a.test/"), "old");
        request.header.set("Content-Type", "text/plain");
        for part in [
            FormPart::new("").with_file_name("a\0"),
            FormPart::new("").with_content_type("text/plain\r\nX: y"),
            FormPart::new("").with_header("X Y", "z"),
            FormPart::new("").with_header("X", b"\xff"),
            FormPart::new("").with_header("content-disposition", "form-data; name=other"),
        ] {
            let error = request.set_multipart(Form::new().part("a", part)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
        }
        assert_eq!(request.set_multipart(Form::new().text("a\u{7}", "")).unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!((request.content_length, request.header.get("Content-Type")), (Some(3), Some("text/plain")));
    }

    #[tokio::test]
    async fn a_long_form_is_not_copied_and_may_be_had_again() {
        let long = "long ".repeat(20_000);
        let form = Form::new().text("a", "1").part("b", FormPart::new(long.clone()));
        let mut body = form.into_body("x").unwrap();
        let length = body.remaining().unwrap();
        let mut again = body.try_clone().unwrap().unwrap();
        assert_eq!(again.remaining(), Some(length));
        let whole = body.bytes(1 << 20).await.unwrap();
        assert!(whole.len() as u64 == length && whole.windows(long.len()).any(|part| part == long.as_bytes()));
        assert!(again.bytes(1 << 20).await.unwrap() == whole);
    }

    #[tokio::test]
    async fn a_stream_is_sent_once_unless_it_can_be_made_again() {
        let stream = || Body::from_source(JoinedBodies { pieces: [Body::from("one"), Body::from("two")].into() });
        let unknown = || Body::from_source(OfUnknownLength(Some(Bytes::from_static(b"one"))));
        let body = |content| Form::new().part("a", FormPart::new(content)).into_body("x").unwrap();
        assert!(!body(stream()).is_replayable());
        assert_eq!(body(stream()).remaining(), Some(64), "its length is known all the same");
        assert_eq!(body(unknown()).remaining(), None);
        let mut again = body(Body::from_fn(move || Ok(unknown())).unwrap());
        assert!(again.is_replayable());
        assert!(again.text().await.unwrap().ends_with("\r\n\r\none\r\n--x--\r\n"));
    }

    struct OfUnknownLength(Option<Bytes>);

    impl Source for OfUnknownLength {
        fn poll_frame(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
            Poll::Ready(self.0.take().map(|bytes| Ok(Frame::Data(bytes))))
        }

        fn remaining(&self) -> Option<u64> {
            None
        }
    }
}
