//! Plain responses that say what is wrong.

use http::StatusCode;

use crate::error::Result;
use crate::h1::may_send_content;
use crate::message::Request;
use crate::server::{Handler, ResponseWriter};

/// Answers with a status and a line of plain text (Go's `Error`).
///
/// The text is the message and a line feed, with `X-Content-Type-Options: nosniff`, so that no
/// browser takes a message with something of the request in it for HTML. `Content-Length` is taken
/// away, all other fields stay (Go's rule): one that set `Content-Encoding`, `ETag` or
/// `Cache-Control` for what it then does not send takes them away itself. A status without content (204, 304) is answered without the text.
///
/// It does not end the handler: return after it. To answer by an error instead, see
/// [`Error::answer`](crate::Error::answer); [`ResponseWriter::error`] also takes back what was written
/// before. [`Server::on_error`](crate::Server::on_error) may give the response another form, where it was not
/// sent yet: up to 2 KiB are not.
///
/// # Errors
/// As [`ResponseWriter::write`].
///
/// ```
/// use nethttp::{Request, ResponseWriter, Result, StatusCode, error};
///
/// async fn page(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
///     let Some(number) = r.query("page").and_then(|page| page.parse::<u32>().ok()) else {
///         return error(w, "the page is not a number", StatusCode::BAD_REQUEST).await;
///     };
///     w.write(format!("page {number}\n")).await
/// }
/// ```
pub async fn error(w: &mut ResponseWriter, message: impl AsRef<str>, status: StatusCode) -> Result<()> {
    let text = format!("{}\n", message.as_ref());
    let header = w.header();
    header.del("Content-Length");
    header.set("X-Content-Type-Options", "nosniff");
    header.set("Content-Type", "text/plain; charset=utf-8");
    w.write_header(status);
    if may_send_content(status) {
        w.write(text).await?;
    }
    w.mark_plain_error();
    Ok(())
}

/// Answers `404 page not found` (Go's `NotFound`). It is a handler too.
///
/// # Errors
/// As [`ResponseWriter::write`].
///
/// ```
/// use nethttp::{Request, ResponseWriter, Result, not_found};
///
/// async fn user(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
///     match r.path_value("name") {
///         "gopher" => w.write("here\n").await,
///         _ => not_found(w, r).await,
///     }
/// }
/// ```
pub async fn not_found(w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    error(w, "404 page not found", StatusCode::NOT_FOUND).await
}

/// A handler that answers every request `404 page not found` (Go's `NotFoundHandler`).
///
/// ```
/// let mux = nethttp::ServeMux::new();
/// mux.handle("/private/", nethttp::middleware::not_found_handler());
/// ```
pub fn not_found_handler() -> impl Handler {
    not_found
}
