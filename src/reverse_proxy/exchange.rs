//! One exchange: the request goes to an upstream, perhaps to another one after that, and its response to the client.
//!
//! # Theory of operation
//!
//! ```text
//!  received ─► choose ─► OutgoingRequest, rewrite ─► round trip ─► response ─► copied to the client
//!                ▲                                     │    └─► 101: both connections become a tunnel
//!                └───────────── may_go_elsewhere ◀─────┘ failed
//! ```
//!
//! **One task.** All of it is the future of the handler. The transport writes the request while it waits for the
//! response's head, and goes on with it each time the response's body is polled: so the upload and the response run
//! at the same time, each as fast as its reader takes it, and nothing is held but what is on its way.
//!
//! **Who wakes whom.** The wait for a head ends for three things: the head, an informational response that is to be
//! passed on, and the client's leaving. The first two come from the upstream's connection, the third from the
//! client's. After that, each wait for content has the same two ends.
//!
//! **Who is at fault.** The transport's error may be that of the content that it was sending, which is the client's:
//! [`RelayedContent`] remembers it. Then the upstream is told nothing, and the client gets what its own fault is
//! answered with. Else the fault is the upstream's, 502 or 504.
//!
//! **What ends with what.** Dropping the round trip, or the response's body, ends the exchange with the upstream at
//! once: its connection is closed, or its stream reset. That happens when the client leaves, when the content
//! breaks off, and when this future is dropped.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use http::{Method, StatusCode};
use tokio::time::Instant;

use super::content::RelayedContent;
use super::interim::InterimResponses;
use super::outgoing::OutgoingRequest;
use super::record::{ProxyEnd, ProxyRecord};
use super::response::{ExchangeError, begin_response, client_left, copy_content, hold_back};
use super::retry::may_go_elsewhere;
use super::settings::ProxySettings;
use super::switch::{begin_switch, check_switch, check_websocket_accept, clean_unless_switch, is_switch, note_switch};
use super::target::joined_target;
use super::tunnel::{Tunnelled, tunnel};
use super::upstream::{ChosenUpstream, Upstream, UpstreamFailure};
use crate::error::{Error, ErrorKind, Result};
use crate::message::{Request, Response};
use crate::server::ResponseWriter;

/// Has an upstream answer the request, and hands its response on.
pub(super) async fn exchange(settings: &ProxySettings, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let content = RelayedContent::of(std::mem::take(&mut r.body));
    let record = ProxyRecord { end: ProxyEnd::Dropped, ..ProxyRecord::default() };
    let mut proxying = Proxying { settings, received: r, content, record, begun: Instant::now() };
    let result = proxying.run(w).await;
    proxying.note_end(&result);
    drop(proxying);
    match result {
        Ok(()) => Ok(()),
        Err(error) => answer_failure(settings, w, r, error).await,
    }
}

/// The state of one exchange. When it goes, the hook is told of it.
struct Proxying<'a> {
    settings: &'a ProxySettings,
    received: &'a Request,
    content: RelayedContent,
    record: ProxyRecord,
    begun: Instant,
}

/// A response with its place at the upstream, and when it was asked for.
struct Answered {
    response: Response,
    chosen: ChosenUpstream,
    asked: Instant,
}

impl Proxying<'_> {
    async fn run(&mut self, w: &mut ResponseWriter) -> Result<()> {
        let mut answered = self.ask(w).await?;
        clean_unless_switch(&mut answered.response);
        if let Some(modify) = &self.settings.modify_response {
            modify(&mut answered.response, self.received)?;
            note_new_length(&mut answered.response);
        }
        if is_switch(&answered.response) { self.switch(w, answered).await } else { self.respond(w, answered).await }
    }

    /// Asks upstreams until one of them answers.
    async fn ask(&mut self, w: &mut ResponseWriter) -> Result<Answered> {
        let r = self.received;
        let mut tried: Vec<Upstream> = Vec::new();
        let mut failed: Option<Error> = None;
        loop {
            let mut chosen = match self.choose(w, &tried).await {
                Ok(chosen) => chosen,
                Err(error) => return Err(failed.unwrap_or(error)),
            };
            let asked = Instant::now();
            let mut out = self.outgoing(&chosen.upstream)?;
            match self.round_trip(w, &chosen.upstream, &mut out).await {
                Ok(mut response) => {
                    check_websocket_accept(&out, r, &response)
                        .map_err(|error| self.blame(error, &mut chosen, asked))?;
                    note_switch(&mut response, r);
                    self.content.stop_keeping();
                    self.note_head(&response, &mut chosen, asked);
                    return Ok(Answered { response, chosen, asked });
                }
                Err(ExchangeError::Client(error)) => return Err(self.client_gone(error)),
                Err(ExchangeError::Upstream(error)) => {
                    let error = self.blame(error, &mut chosen, asked);
                    let is_left = tried.len() < self.settings.max_retries && self.settings.choice.has_others();
                    let is_lost = self.record.failure.is_none() || !is_left;
                    if is_lost || !may_go_elsewhere(&error, &r.method) || self.content.body().is_none() {
                        return Err(error);
                    }
                    tried.push(chosen.upstream);
                    self.record.retries = tried.len();
                    failed = Some(error);
                }
            }
        }
    }

    async fn choose(&mut self, w: &mut ResponseWriter, tried: &[Upstream]) -> Result<ChosenUpstream> {
        let begun = Instant::now();
        let chosen = unless_gone(w.client_gone(), self.settings.choice.choose(self.received, tried)).await;
        self.record.queued += begun.elapsed();
        let chosen = chosen.unwrap_or_else(|| Err(self.client_gone(client_left())))?;
        self.record.upstream = Some(chosen.upstream.clone());
        Ok(chosen)
    }

    /// The request for this upstream.
    fn outgoing(&self, upstream: &Upstream) -> Result<Request> {
        let (settings, r) = (self.settings, self.received);
        let mut out = OutgoingRequest::of(r, settings.trust(r));
        out.uri = joined_target(upstream.url(), &r.uri)?;
        out.host.clear();
        out.choose_host(settings.host);
        out.add_forwarding(settings.forwarding);
        if let Some(rewrite) = &settings.rewrite {
            rewrite(&mut out, r)?;
        }
        if out.body.is_empty() {
            let body = self.content.body();
            out.body = body.ok_or_else(|| Error::new(ErrorKind::RequestOver, "the content was sent already"))?;
        }
        Ok(out.finish(&settings.timeouts))
    }

    /// Sends the request and waits for the head of its response. Informational ones are passed on meanwhile.
    async fn round_trip(
        &mut self,
        w: &mut ResponseWriter,
        upstream: &Upstream,
        out: &mut Request,
    ) -> Result<Response, ExchangeError> {
        let interims = Arc::new(InterimResponses::default());
        out.set_trace(interims.clone());
        let transport = upstream.transport().unwrap_or(&self.settings.transport);
        let mut sending = transport.round_trip(out);
        let mut gone = pin!(w.client_gone());
        loop {
            let head = poll_fn(|cx| {
                if gone.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Some(Err(ExchangeError::Client(client_left()))));
                }
                match sending.as_mut().poll(cx) {
                    Poll::Ready(head) => Poll::Ready(Some(head.map_err(ExchangeError::Upstream))),
                    Poll::Pending if interims.is_empty() => Poll::Pending,
                    Poll::Pending => Poll::Ready(None),
                }
            })
            .await;
            pass_on(w, &interims).await.map_err(ExchangeError::Client)?;
            if let Some(head) = head {
                return head;
            }
        }
    }

    /// Tells the upstream's permit of a failure that is the upstream's. Returns what the client is to hear of.
    fn blame(&mut self, error: Error, chosen: &mut ChosenUpstream, asked: Instant) -> Error {
        if let Some(own) = self.content.error() {
            return self.client_gone(own);
        }
        // A deadline that lies around the proxy is not the upstream's to keep.
        let is_own = error.is_timeout() && self.received.context().error().is_some_and(|end| end.is_timeout());
        self.record.failure = UpstreamFailure::of(&error).filter(|_| !is_own);
        if let (Some(failure), Some(permit)) = (self.record.failure, &mut chosen.permit) {
            permit.failed(failure, asked.elapsed());
        }
        error.of_gateway()
    }

    fn client_gone(&mut self, error: Error) -> Error {
        self.record.end = ProxyEnd::ClientGone;
        error
    }

    fn note_head(&mut self, response: &Response, chosen: &mut ChosenUpstream, asked: Instant) {
        let timings = response.timings();
        self.record.status = Some(response.status);
        self.record.connect = timings.got_connection;
        self.record.first_byte = timings.first_byte;
        self.record.failure = None;
        if let Some(permit) = &mut chosen.permit {
            permit.responded(response.status, asked.elapsed());
        }
    }

    /// Hands a response on.
    async fn respond(&mut self, w: &mut ResponseWriter, answered: Answered) -> Result<()> {
        let Answered { mut response, mut chosen, asked } = answered;
        let hold_back = hold_back(self.settings.flush_interval, &response);
        begin_response(w, self.received, &mut response);
        let bytes = &mut self.record.response_bytes;
        match copy_content(w, response.body, hold_back, |len| *bytes = bytes.saturating_add(len as u64)).await {
            Ok(()) => Ok(()),
            Err(ExchangeError::Client(error)) => Err(self.client_gone(error)),
            Err(ExchangeError::Upstream(error)) => Err(self.blame(error, &mut chosen, asked)),
        }
    }

    /// Joins both connections, where the upstream has switched to what the client has offered.
    async fn switch(&mut self, w: &mut ResponseWriter, answered: Answered) -> Result<()> {
        let r = self.received;
        // Its permit is held while the tunnel lasts.
        let Answered { mut response, mut chosen, asked } = answered;
        if let Err(error) = check_switch(&response, r) {
            return Err(self.blame(error, &mut chosen, asked));
        }
        let upstream = response.upgrade()?;
        begin_switch(w, r, &mut response);
        let client = w.upgrade().await?;
        let record = &mut self.record;
        let count = |moved: Tunnelled| {
            record.request_bytes = moved.from_client;
            record.response_bytes = moved.from_upstream;
        };
        let ended = tunnel(client, upstream, r.context(), self.settings.tunnel, count).await;
        // That one side has broken off is the end of a tunnel, and no failure of the handler.
        if ended.is_err() {
            self.record.end = ProxyEnd::Failed;
        }
        Ok(())
    }

    fn note_end(&mut self, result: &Result<()>) {
        if self.record.end == ProxyEnd::Dropped {
            self.record.end = if result.is_ok() { ProxyEnd::Whole } else { ProxyEnd::Failed };
        }
    }
}

impl Drop for Proxying<'_> {
    fn drop(&mut self) {
        let Some(hook) = &self.settings.on_exchange else { return };
        // A second panic would end the process.
        if std::thread::panicking() {
            return;
        }
        self.record.duration = self.begun.elapsed();
        if self.record.status != Some(StatusCode::SWITCHING_PROTOCOLS) {
            self.record.request_bytes = self.content.read_bytes();
        }
        hook(self.received, &self.record);
    }
}

/// A function that gives a response other content may leave the length as it was announced. What HEAD and 304 announce is
/// the length of content that does not come, and stays.
fn note_new_length(response: &mut Response) {
    if response.body.is_in_memory() && !response.body.is_empty() {
        response.content_length = response.body.remaining();
    }
}

/// Passes informational responses on. The fields that are set for the final response stay out of them.
async fn pass_on(w: &mut ResponseWriter, interims: &InterimResponses) -> Result<()> {
    while let Some((status, header)) = interims.next() {
        let own = std::mem::replace(w.header(), header);
        let sent = w.send_informational(status).await;
        *w.header() = own;
        sent?;
    }
    Ok(())
}

/// What a future gives; `None` where the client leaves before.
async fn unless_gone<T>(gone: impl Future<Output = ()> + Send, future: impl Future<Output = T> + Send) -> Option<T> {
    let (mut future, mut gone) = (pin!(future), pin!(gone));
    poll_fn(|cx| {
        if let Poll::Ready(done) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(done));
        }
        gone.as_mut().poll(cx).map(|()| None)
    })
    .await
}

/// Answers what went wrong before a response was begun: with the response that the hook gives, else as the server
/// answers an error of this status.
async fn answer_failure(settings: &ProxySettings, w: &mut ResponseWriter, r: &Request, error: Error) -> Result<()> {
    let chosen = settings.on_error.as_ref().filter(|_| !w.is_sent()).and_then(|hook| hook(r, &error));
    match chosen {
        Some(response) if w.reset() => w.send(response).await,
        _ => Err(error),
    }
}

/// The response to a request that no upstream is asked for, if this is one.
///
/// CONNECT asks for a tunnel to anywhere, which a reverse proxy does not make (Go's rule). `Max-Forwards` counts the
/// proxies that may pass OPTIONS and TRACE on (RFC 9110 §7.6.2): with 0 this one is the last recipient, and it
/// repeats nothing of a TRACE.
pub(super) fn own_answer(r: &mut Request) -> Option<Response> {
    if r.method == Method::CONNECT {
        return Some(Response::new("").with_status(StatusCode::METHOD_NOT_ALLOWED));
    }
    if !matches!(r.method, Method::OPTIONS | Method::TRACE) {
        return None;
    }
    let left: u64 = r.header.get("Max-Forwards")?.trim().parse().ok()?;
    match left.checked_sub(1) {
        Some(left) => {
            r.header.set("Max-Forwards", left.to_string());
            None
        }
        None if r.method == Method::OPTIONS => Some(Response::new("")),
        None => Some(Response::new("").with_status(StatusCode::METHOD_NOT_ALLOWED)),
    }
}

#[cfg(test)]
mod tests {
    use http::Uri;

    use super::*;
    use crate::reverse_proxy::settings::UpstreamChoice;

    /// An idle tunnel holds it for as long as it lasts, and each request has one made.
    #[test]
    fn the_future_of_an_exchange_takes_little_memory() {
        let settings = ProxySettings::new(UpstreamChoice::One(Upstream::new("http://u.test").unwrap()));
        let (mut w, mut r) = (ResponseWriter::new(), Request::new(Method::GET, Uri::from_static("/"), ""));
        let size = size_of_val(&exchange(&settings, &mut w, &mut r));
        assert!(size < 3072, "{size} bytes");
    }
}
