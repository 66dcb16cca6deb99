//! The responses to what went wrong: the plain text that the server writes itself, or what `on_error` puts in
//! its place.
//!
//! Every failure comes through here: errors and panics of handlers, heads that are refused, the mux's 404 and
//! 405, a handler that is late. A hook gets to see them all, decides the whole response, and can break
//! neither its framing nor the connection.

use std::borrow::Cow;
use std::fmt::Write as _;

use bytes::Bytes;
use http::StatusCode;

use super::error_info::{ErrorInfo, detail_of, status_of};
use super::response::ResponseWriter;
use super::settings::Settings;
use crate::error::{Error, ErrorKind, Refusal, Result};
use crate::message::{Addr, Header, Response};

/// Puts the response to a failure into a writer of which nothing was sent. What was set and written before is
/// gone, but for the fields that are not about the content.
pub(crate) fn write_failure(settings: &Settings, writer: &mut ResponseWriter, failure: &ErrorInfo<'_>) {
    if write_chosen(settings, writer, failure) {
        return;
    }
    match failure.error.response().and_then(WholeResponse::copy_of) {
        Some(whole) => whole.write_to(writer),
        None => write_text(writer, failure.status, &text_of(failure.error, failure.status)),
    }
}

/// The same for a head that is refused.
pub(crate) fn write_refusal(settings: &Settings, writer: &mut ResponseWriter, refusal: Refusal, remote_addr: &Addr) {
    let (status, error) = (refusal.status, Error::from(refusal));
    write_failure(settings, writer, &ErrorInfo { error: &error, status, request: None, remote_addr });
}

/// Asks `on_error`, and puts the response that it gives into a writer. Returns whether it gave one that can be
/// sent.
pub(crate) fn write_chosen(settings: &Settings, writer: &mut ResponseWriter, failure: &ErrorInfo<'_>) -> bool {
    let Some(hook) = &settings.on_error else { return false };
    let chosen = settings.call("on_error", || hook(failure)).flatten().and_then(WholeResponse::of);
    chosen.map(|whole| whole.write_to(writer)).is_some()
}

impl ResponseWriter {
    /// Answers with a status and a plain text, as if the handler had returned
    /// [`Error::answer`] of them, in place of what was written and not sent: the message as it is, or the
    /// status and its reason where it is empty. [`Server::on_error`](crate::Server::on_error) may give the
    /// response another form. The handler goes on: return after it.
    ///
    /// ```
    /// use nethttp::{Request, ResponseWriter, Result, StatusCode};
    ///
    /// async fn page(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    ///     let Some(number) = r.query("page").and_then(|page| page.parse::<u32>().ok()) else {
    ///         return w.error(StatusCode::BAD_REQUEST, "the page is not a number\n").await;
    ///     };
    ///     w.write(format!("page {number}\n")).await
    /// }
    /// ```
    ///
    /// # Errors
    /// Where the head was sent already, the error that cannot be answered any more: a handler that returns it
    /// has the response cut, so that the peer does not take it for whole.
    #[expect(clippy::unused_async, reason = "what writes has an `.await`")]
    pub async fn error(&mut self, status: StatusCode, message: impl Into<Cow<'static, str>>) -> Result<()> {
        let error = Error::answer(status, message);
        if !self.is_open() {
            return Err(error);
        }
        let status = status_of(&error);
        write_text(self, status, &text_of(&error, status));
        self.mark_plain_error();
        Ok(())
    }
}

/// A response that is in memory, so that it can be put into a writer without waiting.
struct WholeResponse {
    status: StatusCode,
    header: Header,
    content: Bytes,
}

impl WholeResponse {
    /// `None` for what cannot be sent here: an informational status, content that is still to come.
    fn of(mut response: Response) -> Option<WholeResponse> {
        let content = response.body.take_memory().filter(|_| !response.status.is_informational())?;
        Some(WholeResponse { status: response.status, header: response.header, content })
    }

    fn copy_of(response: &Response) -> Option<WholeResponse> {
        let body = response.body.try_clone().ok().flatten()?;
        let copy = Response { header: response.header.clone(), ..Response::new(body) };
        WholeResponse::of(copy.with_status(response.status))
    }

    fn write_to(self, writer: &mut ResponseWriter) {
        let closes = writer.header().has_token("Connection", "close");
        writer.restart(Some(self.status));
        let mut first = Vec::new();
        for (name, value) in self.header.iter().filter(|(name, _)| !decides_framing(name)) {
            // The first value of a name replaces what was set around the handler, further ones are added.
            let is_first = !first.iter().any(|earlier: &&str| earlier.eq_ignore_ascii_case(name));
            if is_first {
                first.push(name);
                writer.header().set(name, value);
            } else {
                writer.header().add(name, value);
            }
        }
        if closes {
            writer.header().set("Connection", "close");
        }
        writer.write_whole(self.status, &self.content);
    }
}

/// The length is that of the content, and whether the connection is kept is decided elsewhere.
fn decides_framing(name: &str) -> bool {
    ["Content-Length", "Transfer-Encoding", "Trailer", "Connection"].iter().any(|own| own.eq_ignore_ascii_case(name))
}

/// Puts the plain error response of this crate's into a writer, as [`ResponseWriter::error`] has it.
pub(crate) fn write_text(writer: &mut ResponseWriter, status: StatusCode, text: &str) {
    writer.restart(Some(status));
    let header = writer.header();
    header.set("Content-Type", "text/plain; charset=utf-8");
    // Taken away first, so that it stands here wherever it stood before.
    header.del("X-Content-Type-Options");
    header.add("X-Content-Type-Options", "nosniff");
    writer.write_whole(status, text.as_bytes());
}

/// The content of the response. The message of [`Error::answer`] is all of it. Others are shown, behind the
/// status, where the peer is the cause.
fn text_of(error: &Error, status: StatusCode) -> Cow<'_, str> {
    match detail_of(error) {
        Some(message) if error.kind() == ErrorKind::Answer => Cow::Borrowed(message),
        Some(message) => Cow::Owned(format!("{}: {message}\n", status_in_words(status))),
        None => Cow::Owned(format!("{}\n", status_in_words(status))),
    }
}

fn status_in_words(status: StatusCode) -> String {
    format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or("error"))
}

/// Problem details (RFC 9457) as the response to every failure: a hook for
/// [`Server::on_error`](crate::Server::on_error).
///
/// The content is `application/problem+json` with `title` (the reason of the status), `status`, and `detail`
/// where the error has something to say to the peer ([`ErrorInfo::detail`]) beyond the title. `type` is left out, which says
/// that the status says it all (RFC 9457 §4.2.1). A failure that carries a response of its own
/// ([`Error::from_response`]) keeps that.
///
/// ```
/// use std::sync::Arc;
/// use nethttp::{Request, Server, respond};
///
/// let mut server = Server::new(respond(async |_: &mut Request| "hello"));
/// server.on_error = Some(Arc::new(nethttp::server::problem_details));
/// ```
pub fn problem_details(failure: &ErrorInfo<'_>) -> Option<Response> {
    if failure.error.response().is_some() {
        return None;
    }
    let mut text = String::from("{\"title\":");
    push_json_string(&mut text, failure.status.canonical_reason().unwrap_or("error"));
    // Writing to a string cannot fail.
    let _ = write!(text, ",\"status\":{}", failure.status.as_u16());
    if let Some(detail) = failure.detail().map(str::trim_end).filter(|detail| !says_status(detail, failure.status)) {
        text.push_str(",\"detail\":");
        push_json_string(&mut text, detail);
    }
    text.push('}');
    let response = Response::new(text).with_status(failure.status);
    Some(response.with_header("Content-Type", "application/problem+json"))
}

/// Whether a text says nothing but the status, as the plain errors of this crate do where nothing else is known.
fn says_status(text: &str, status: StatusCode) -> bool {
    let reason = status.canonical_reason().unwrap_or("error");
    // Go's words for 404.
    text == reason || text == status_in_words(status) || text == "404 page not found"
}

/// Text as a string of JSON (RFC 8259 §7).
fn push_json_string(out: &mut String, text: &str) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            // Writing to a string cannot fail.
            '\0'..='\x1f' => _ = write!(out, "\\u{:04x}", u32::from(letter)),
            _ => out.push(letter),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peer_sees_what_is_meant_for_it() {
        let text = |error: Error| text_of(&error, status_of(&error)).into_owned();
        assert_eq!(text(Error::answer(StatusCode::CONFLICT, "taken")), "taken");
        assert_eq!(text(Error::answer(StatusCode::CONFLICT, "")), "409 Conflict\n");
        let malformed = Error::new(ErrorKind::Malformed, "no form").with_status(StatusCode::BAD_REQUEST);
        assert_eq!(text(malformed), "400 Bad Request: no form\n");
        assert_eq!(text(Error::other("the password")), "500 Internal Server Error\n");
        let unknown = Error::new(ErrorKind::Answer, "").with_status(StatusCode::from_u16(599).unwrap());
        assert_eq!(text(unknown), "599 error\n");
    }

    #[test]
    fn text_in_json_is_escaped() {
        let mut out = String::new();
        push_json_string(&mut out, "a\"b\\c\n\u{7f}\u{e9}");
        assert_eq!(out, "\"a\\\"b\\\\c\\u000a\u{7f}\u{e9}\"");
    }
}
