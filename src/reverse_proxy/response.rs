//! The response on its way from the upstream to the client.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Version;
use tokio::time::{Instant, sleep_until};

use super::fields::remove_hop_by_hop;
use crate::error::{Error, ErrorKind, Phase, Result};
use crate::h1::may_send_content;
use crate::message::{Body, Header, Request, Response};
use crate::server::{AutoField, ResponseWriter};

/// Whose fault it is that an exchange has failed.
pub(super) enum ExchangeError {
    /// What was sent to the upstream, or read from it. It may still be the client's content that was at fault.
    Upstream(Error),
    /// What was sent to the client: it has left.
    Client(Error),
}

/// Puts status and fields of a response into a writer. Of the fields that middleware has set there, those that the
/// upstream says too are replaced.
pub(super) fn begin_response(w: &mut ResponseWriter, received: &Request, response: &mut Response) {
    // The upstream has said what its content is and how long, or has not.
    w.omit(AutoField::ContentType);
    w.omit(AutoField::ContentLength);
    set_length(w, received, response);
    put_fields(w.header(), std::mem::take(&mut response.header));
    w.write_header(response.status);
}

/// How long the content is, where the upstream has announced it: as it is now, or as announced where none comes.
fn set_length(w: &ResponseWriter, received: &Request, response: &mut Response) {
    let has_content = may_send_content(response.status) && !w.is_for_head();
    let announced = response.content_length;
    let length = if has_content { announced.and_then(|_| response.body.remaining()) } else { announced };
    // Over HTTP/1 a trailer follows chunks only.
    let has_trailer = response.header.contains("Trailer") && received.proto < Version::HTTP_2;
    match length.filter(|_| !(has_content && has_trailer)) {
        Some(length) => response.header.set("Content-Length", itoa::Buffer::new().format(length)),
        None => _ = response.header.del("Content-Length"),
    }
}

/// The first value of a name replaces what was set before, further ones are added.
fn put_fields(header: &mut Header, fields: Header) {
    if header.is_empty() {
        *header = fields;
        return;
    }
    for (name, _) in fields.iter() {
        header.del(name);
    }
    for (name, value) in fields.iter() {
        header.add(name, value);
    }
}

/// What may be sent of an upstream's header: all that is not of its connection.
pub(super) fn clean_response(response: &mut Response) {
    remove_hop_by_hop(&mut response.header);
}

/// For how long what is there may be held back while more is awaited.
pub(super) fn hold_back(flush_interval: Duration, response: &Response) -> Duration {
    let is_stream = response.content_length.is_none() || is_event_stream(&response.header);
    if is_stream { Duration::ZERO } else { flush_interval }
}

/// Content whose reader waits for each piece of it.
fn is_event_stream(header: &Header) -> bool {
    let Some(content_type) = header.get("Content-Type") else { return false };
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("text/event-stream")
        || media_type
            .get(.."application/grpc".len())
            .is_some_and(|start| start.eq_ignore_ascii_case("application/grpc"))
}

/// Copies the content as it comes, and the trailer behind it. `count` is told of each piece. When there is nothing
/// for the moment, what was written is sent: at once, or after so long.
///
/// # Errors
/// Then the head and what came before have been sent, so that the client sees a response that was cut: it must not
/// be completed.
pub(super) async fn copy_content(
    w: &mut ResponseWriter,
    mut body: Body,
    hold_back: Duration,
    mut count: impl FnMut(usize) + Send,
) -> Result<(), ExchangeError> {
    if w.is_for_head() || w.status().is_some_and(|status| !may_send_content(status)) {
        return Ok(());
    }
    let mut flushing = Flushing { hold_back, until: None };
    loop {
        match next_piece(w, &mut body, &mut flushing).await {
            Ok(Some(piece)) => {
                count(piece.len());
                beside(&mut body, w.write_bytes(piece)).await.map_err(ExchangeError::Client)?;
            }
            Ok(None) => break,
            Err(ExchangeError::Upstream(error)) => {
                // What came is the client's, and a response that has begun can only be cut.
                w.flush().await.map_err(ExchangeError::Client)?;
                return Err(ExchangeError::Upstream(error));
            }
            Err(error) => return Err(error),
        }
    }
    if let Some(trailer) = body.trailer() {
        let mut trailer = trailer.clone();
        remove_hop_by_hop(&mut trailer);
        w.trailer().extend(trailer.iter());
    }
    Ok(())
}

/// When what was written is sent.
struct Flushing {
    hold_back: Duration,
    /// Set while something is held back.
    until: Option<Instant>,
}

/// The next piece. While there is none, what was written before is sent, and the client is watched: when it leaves,
/// the body is dropped, and with it the upstream's work.
async fn next_piece(
    w: &mut ResponseWriter,
    body: &mut Body,
    flushing: &mut Flushing,
) -> Result<Option<Bytes>, ExchangeError> {
    let ready = poll_fn(|cx| Poll::Ready(body.poll_chunk(cx))).await;
    if let Poll::Ready(piece) = ready {
        return piece.transpose().map_err(ExchangeError::Upstream);
    }
    if !flushing.hold_back.is_zero() {
        let until = *flushing.until.get_or_insert_with(|| Instant::now() + flushing.hold_back);
        let mut passed = pin!(sleep_until(until));
        if let Some(piece) = piece_or(w.client_gone(), body, passed.as_mut()).await? {
            return piece.transpose().map_err(ExchangeError::Upstream);
        }
        flushing.until = None;
    }
    beside(body, w.flush()).await.map_err(ExchangeError::Client)?;
    let waited = piece_or(w.client_gone(), body, pin!(std::future::pending())).await?;
    waited.flatten().transpose().map_err(ExchangeError::Upstream)
}

/// Waits for the client to take what is written. The upload goes on meanwhile: the client may read only when it has
/// sent all.
async fn beside(body: &mut Body, writing: impl Future<Output = Result<()>> + Send) -> Result<()> {
    let mut writing = pin!(writing);
    poll_fn(|cx| {
        let written = writing.as_mut().poll(cx);
        if written.is_pending() {
            body.poll_beside(cx);
        }
        written
    })
    .await
}

/// The next piece, or nothing where something else comes first.
async fn piece_or(
    gone: impl Future<Output = ()> + Send,
    body: &mut Body,
    mut other: Pin<&mut (impl Future<Output = ()> + Send)>,
) -> Result<Option<Option<Result<Bytes>>>, ExchangeError> {
    let mut gone = pin!(gone);
    poll_fn(|cx: &mut Context<'_>| {
        if let Poll::Ready(piece) = body.poll_chunk(cx) {
            return Poll::Ready(Ok(Some(piece)));
        }
        if gone.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(ExchangeError::Client(client_left())));
        }
        other.as_mut().poll(cx).map(|()| Ok(None))
    })
    .await
}

/// The client has gone before its response was whole.
pub(super) fn client_left() -> Error {
    Error::new(ErrorKind::CutOff, "the client left before the response was complete").during(Phase::Write)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(fields: &[(&str, &str)]) -> Header {
        fields.iter().copied().collect()
    }

    #[test]
    fn the_upstreams_fields_replace_those_of_middleware_and_keep_their_duplicates() {
        let mut own = header(&[("X-Request-ID", "1"), ("Server", "mine"), ("Vary", "Origin")]);
        put_fields(&mut own, header(&[("server", "theirs"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]));
        let lines: Vec<_> = own.iter().map(|(name, value)| (name, String::from_utf8_lossy(value))).collect();
        let expected = [("X-Request-ID", "1"), ("Vary", "Origin"), ("server", "theirs"), ("Set-Cookie", "a=1")];
        assert_eq!(lines[..4], expected.map(|(name, value)| (name, value.into())));
        assert_eq!(own.values("Set-Cookie").collect::<Vec<_>>(), ["a=1", "b=2"]);
    }

    #[test]
    fn streams_are_not_held_back() {
        let second = Duration::from_secs(1);
        for (content_type, length, held) in [
            ("text/html", Some(5), second),
            ("text/html", None, Duration::ZERO),
            ("text/event-stream", Some(5), Duration::ZERO),
            ("Text/Event-Stream;charset=utf-8", Some(5), Duration::ZERO),
            ("application/grpc+proto", Some(5), Duration::ZERO),
            ("", Some(5), second),
        ] {
            let mut response = Response::new("").with_header("Content-Type", content_type);
            response.content_length = length;
            assert_eq!(hold_back(second, &response), held, "{content_type} {length:?}");
        }
    }
}
