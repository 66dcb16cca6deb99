//! Polls a handler for the one who reads its response.

use std::borrow::Borrow;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use super::call_io::{CallContent, CallHead, CallIo, Informational};
use super::received::{as_received, lend_body};
use crate::error::Result;
use crate::message::Request;
use crate::server::close_reason::CloseReason;
use crate::server::exchange;
use crate::server::handler::Handler;
use crate::server::response::decide::RequestTraits;
use crate::server::response::sink::ResponseSink;
use crate::server::scratch::{self, Scratch};
use crate::server::settings::Settings;

/// A handler that serves one request, as far as it was polled.
pub(crate) struct CallDriver<'a> {
    call_io: Arc<CallIo>,
    /// `None` once the handler is done.
    running: Option<Pin<Box<dyn Future<Output = ()> + Send + 'a>>>,
}

impl<'a> CallDriver<'a> {
    /// Informational responses are kept where there is a place for them.
    pub(crate) fn new<H: Handler, B: Borrow<H> + Send + 'a>(
        settings: Arc<Settings>,
        handler: B,
        mut request: Request,
        informational: Option<Vec<Informational>>,
    ) -> CallDriver<'a> {
        as_received(&mut request);
        // Of its own: it ends with this call, and also with the request that this call is a part of.
        request.context = request.context.scoped();
        let call_io = Arc::new(CallIo::new(request.context.clone(), informational));
        lend_body(&mut request, &call_io);
        let running = run::<H, B>(settings, handler, request, call_io.clone());
        CallDriver { call_io, running: Some(Box::pin(running)) }
    }

    /// Ready when the head is decided; its content may still be on its way.
    pub(crate) fn poll_head(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<CallHead>> {
        self.poll_until(cx, CallIo::take_head)
    }

    /// The next piece of content.
    pub(crate) fn poll_content(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<CallContent>> {
        self.poll_until(cx, CallIo::take_content)
    }

    /// Looks first, and polls the handler only where nothing is there: so it writes no faster than its
    /// response is read.
    fn poll_until<T>(
        &mut self,
        cx: &mut TaskContext<'_>,
        take: impl Fn(&CallIo) -> Option<Result<T>>,
    ) -> Poll<Result<T>> {
        if let Some(taken) = take(&self.call_io) {
            return Poll::Ready(taken);
        }
        if let Some(running) = &mut self.running {
            if running.as_mut().poll(cx).is_ready() {
                self.running = None;
            }
        }
        // What is done has left an end or an error, so this waits only while the handler does.
        take(&self.call_io).map_or(Poll::Pending, Poll::Ready)
    }

    pub(crate) fn take_informational(&self) -> Vec<Informational> {
        self.call_io.take_informational()
    }

    /// Whether the handler has flushed its response before its end.
    pub(crate) fn is_flushed(&self) -> bool {
        self.call_io.is_flushed()
    }
}

impl Drop for CallDriver<'_> {
    /// Nobody reads the response any more: what the handler has started elsewhere learns that by its context.
    fn drop(&mut self) {
        self.call_io.end_call();
    }
}

async fn run<H: Handler, B: Borrow<H> + Send>(
    settings: Arc<Settings>,
    handler: B,
    request: Request,
    call_io: Arc<CallIo>,
) {
    let mut scratch = scratch::acquire();
    scratch.request = request;
    scratch.writer.attach(Some(ResponseSink::Call(call_io.clone())));
    scratch.writer.begin(RequestTraits::of(&scratch.request, 1), None, 0);

    let mut running = RunningCall { settings, scratch: Some(scratch), call_io };
    let Some(scratch) = &mut running.scratch else { return };
    let meanwhile = |cx: &mut TaskContext<'_>| running.call_io.poll_meanwhile(cx);
    let outcome = exchange::run_handler(&running.settings, handler.borrow(), scratch, meanwhile).await;
    let close = exchange::finish_response(&running.settings, scratch, outcome);
    let cut = matches!(close, Some(CloseReason::ContentShort | CloseReason::HandlerFailed | CloseReason::WriteFailed));
    running.call_io.finish(cut);
    running.end(close);
}

/// Owns what is to be recorded of a call, so that it is recorded also where the reader leaves and drops the
/// handler's future half-way.
struct RunningCall {
    settings: Arc<Settings>,
    /// `None` once the call is recorded.
    scratch: Option<Box<Scratch>>,
    call_io: Arc<CallIo>,
}

impl RunningCall {
    fn end(&mut self, close: Option<CloseReason>) {
        let Some(mut scratch) = self.scratch.take() else { return };
        exchange::record(&self.settings, &mut scratch, close);
        exchange::report_ignored_status(&self.settings, &scratch);
        self.call_io.end_call();
        scratch.clear_exchange();
        scratch::release(scratch);
    }
}

impl Drop for RunningCall {
    /// Dropped by its reader, who has cancelled its context before: that is how its record says who has left.
    fn drop(&mut self) {
        self.end(None);
    }
}
