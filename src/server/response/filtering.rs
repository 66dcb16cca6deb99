//! How a writer runs content through filters: when they are decided on, and in which pieces content goes
//! through them. A writer without filters looks at one `Option` for that, and does nothing here.

use std::pin::Pin;

use http::StatusCode;
use tokio::task::yield_now;

use super::decide::{Extent, HandlerFields};
use super::extras::{HeadHook, ResponseExtras};
use super::filter::{ContentFilter, DecideFilter, FilterChain, FilterStep, ResponseHead, describe_other_content};
use super::writer::{ResponseWriter, Stage};
use crate::error::{Error, ErrorKind, Result};
use crate::h1::may_send_content;

/// The most content that filters get at once. Between two pieces other tasks of the thread run: at the
/// speed of a slow encoder this much takes a millisecond.
const MAX_PIECE_BYTES: usize = 32 * 1024;

/// Filtered content of this size is sent before more is made.
const SENT_AT_BYTES: usize = 16 * 1024;

impl ResponseWriter {
    /// Lets a function decide, when the head is about to be sent, whether the content of this response is
    /// changed on its way, and by what: how middleware compresses, rewrites or digests what handlers write.
    ///
    /// The function is called once for each response, with the head as the handler and the functions added
    /// later have left it; of several, [`before_head`](Self::before_head)'s included, the one that was added
    /// last is called first. It may change fields, and returns a filter or `None`. It is asked for responses
    /// without content too (`HEAD`, 204, 304), whose fields may have to tell what those with content do;
    /// their filters are not used. After [`hijack`](Self::hijack), for 101 and for a tunnel it is not asked.
    ///
    /// Where a filter is used:
    ///
    /// - It gets all content, however it is written: `write`, `send`, files, `AsyncWrite`. The filter that
    ///   was set last gets what the handler writes, the one before gets what comes out of that, and so on.
    /// - The content is another representation (RFC 9110 §8.8): a strong `ETag` is made weak, and
    ///   `Content-Length`, `Accept-Ranges` and digests of the content are taken away. `Content-Type` is what
    ///   the unfiltered content looks like, unless it was set.
    /// - A response that ends within the 2 KiB that are held back gets the `Content-Length` of its filtered
    ///   content; any other goes out in chunks (to HTTP/1.0: until the connection closes). One to `HEAD` has
    ///   a `Content-Length` only where that is known by the same rule.
    /// - A handler that has set `Content-Length` still has to write just as much.
    /// - [`written`](Self::written) counts what the handler writes.
    /// - [`flush`](Self::flush) flushes the filters too. In between they may keep content back.
    ///
    /// A response that is replaced before its head was sent (by an error, a timeout) has used no filter: the
    /// function is asked for the response that takes its place. Where it is a filter that has failed, at the end of
    /// a response of which nothing was sent, the error in its place is not filtered.
    ///
    /// ```
    /// use nethttp::server::{ContentFilter, ResponseHead};
    /// use nethttp::{Request, ResponseWriter, Result};
    ///
    /// struct Upper;
    ///
    /// impl ContentFilter for Upper {
    ///     fn write(&mut self, content: &[u8], out: &mut Vec<u8>) -> Result<()> {
    ///         out.extend(content.iter().map(u8::to_ascii_uppercase));
    ///         Ok(())
    ///     }
    /// }
    ///
    /// async fn shout(w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    ///     w.filter_content(|head: &mut ResponseHead<'_>| {
    ///         let is_text = head.content_type().is_some_and(|of| of.starts_with("text/plain"));
    ///         (is_text && !head.is_partial()).then(|| Box::new(Upper) as Box<dyn ContentFilter>)
    ///     });
    ///     w.write("hello").await // HELLO
    /// }
    /// ```
    pub fn filter_content(
        &mut self,
        decide: impl FnOnce(&mut ResponseHead<'_>) -> Option<Box<dyn ContentFilter>> + Send + 'static,
    ) {
        self.extras_mut().hooks.push(HeadHook::Content(Some(Box::new(decide))));
    }

    /// Runs the hooks for the head that is sent now.
    pub(super) fn run_hooks(&mut self, status: StatusCode, content: Extent<'_>) {
        if !self.has_hooks() {
            return;
        }
        let mut hooks = self.call_hooks(status, content);
        // Put back for its memory.
        hooks.clear();
        self.extras_mut().hooks = hooks;
    }

    /// Calls the hooks, the one that was added last first. They may change fields and set filters. Returns
    /// them; of those that decide on filters nothing is left.
    fn call_hooks(&mut self, status: StatusCode, content: Extent<'_>) -> Vec<HeadHook> {
        // Taken out: if one of them panics, all are gone.
        let mut hooks = std::mem::take(&mut self.extras_mut().hooks);
        for hook in hooks.iter_mut().rev() {
            match hook {
                HeadHook::Fields(change) => change(status, &mut self.header),
                HeadHook::Content(decide) => {
                    if let Some(decide) = decide.take() {
                        self.decide_filter(status, decide, content);
                    }
                }
            }
        }
        // RFC 9110 §8.4.1: how a handler says that codings keep off, to all that would lay one on. Not sent.
        if self.header.get("Content-Encoding").is_some_and(|coding| coding.trim().eq_ignore_ascii_case("identity")) {
            self.header.del("Content-Encoding");
        }
        hooks
    }

    fn decide_filter(&mut self, status: StatusCode, decide: DecideFilter, content: Extent<'_>) {
        // What follows such a head is no content: the bytes of another protocol.
        let is_tunnel = self.traits.connect_request && status.is_success();
        if is_tunnel || status == StatusCode::SWITCHING_PROTOCOLS {
            return;
        }
        let fields = HandlerFields::of(&self.header);
        let sniffed = self.guessed_content_type(status, &fields, content);
        let declared = fields.length.filter(|&length| length >= self.written);
        let mut head = ResponseHead {
            status,
            content_length: self.unfiltered_length(declared, content),
            sniffed,
            header: &mut self.header,
            head_request: self.traits.head_request,
        };
        let Some(filter) = decide(&mut head).filter(|_| may_send_content(status)) else { return };
        if let Some(content_type) = sniffed.filter(|_| !self.header.contains("Content-Type")) {
            self.header.set("Content-Type", content_type);
        }
        describe_other_content(&mut self.header);
        self.extras_mut().filters.get_or_insert_with(|| Box::new(FilterChain::new(declared))).push(filter);
    }

    /// The length of what the next filter would get, where it is known.
    fn unfiltered_length(&self, declared: Option<u64>, content: Extent<'_>) -> Option<u64> {
        match (content, declared) {
            // What the filters before make of it is not known yet.
            _ if self.filters().is_some() => None,
            (_, Some(declared)) => Some(declared),
            // A handler that wrote nothing for HEAD has not said that there is nothing.
            (Extent::Whole([]), None) if self.traits.head_request => None,
            (Extent::Whole(content), None) => Some(content.len() as u64),
            (Extent::Start(_), None) => None,
        }
    }

    /// Runs what was held back and this content through the filters, and sends what comes out. Large content
    /// goes in pieces, and each is sent before the next is made.
    ///
    /// Boxed: it would make the future of each write larger, that of handlers without filters too.
    pub(super) fn send_filtered<'a>(
        &'a mut self,
        content: &'a [u8],
        step: FilterStep,
    ) -> Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>> {
        Box::pin(async move {
            self.with_filters(FilterChain::begin)?;
            let mut pending = std::mem::take(&mut self.pending);
            let mut out = Vec::new();
            let mut since_yield = 0;
            for piece in pending.chunks(MAX_PIECE_BYTES).chain(content.chunks(MAX_PIECE_BYTES)) {
                since_yield += piece.len();
                if since_yield > MAX_PIECE_BYTES {
                    since_yield = piece.len();
                    yield_now().await;
                }
                self.with_filters(|filters| filters.write(piece, &mut out))?;
                if out.len() >= SENT_AT_BYTES {
                    self.send_pending(&out, None, None).await?;
                    out.clear();
                }
            }
            self.complete_filters(step, &mut out)?;
            pending.clear();
            self.pending = pending;
            self.send_pending(&out, None, None).await
        })
    }

    /// The same for a poll, which cannot wait: what comes out is collected.
    pub(super) fn collect_filtered(&mut self, content: &[u8], step: FilterStep) -> Result<()> {
        self.with_filters(FilterChain::begin)?;
        let mut pending = std::mem::take(&mut self.pending);
        let mut out = Vec::new();
        self.with_filters(|filters| {
            let mut pieces = pending.chunks(MAX_PIECE_BYTES).chain(content.chunks(MAX_PIECE_BYTES));
            pieces.try_for_each(|piece| filters.write(piece, &mut out))
        })?;
        self.complete_filters(step, &mut out)?;
        pending.clear();
        self.pending = pending;
        self.collect(&out);
        Ok(())
    }

    /// The handler is done: decides on filters, if the head is not decided yet, and ends them. After that
    /// what is left to be sent is pending, as without filters. A second time does nothing.
    ///
    /// # Errors
    /// Those of a filter, and [`ErrorKind::ContentLength`] where the handler wrote less than it has declared:
    /// the filtered content would look complete.
    #[inline]
    pub(crate) fn end_filters(&mut self) -> Result<()> {
        if self.extras.is_none() { Ok(()) } else { self.decide_and_end_filters() }
    }

    fn decide_and_end_filters(&mut self) -> Result<()> {
        if self.filters().is_none() && !self.has_hooks() {
            return Ok(());
        }
        match self.stage {
            Stage::Open => {}
            Stage::Sent { .. } => return self.end_decided_filters(),
            Stage::Failed | Stage::Over | Stage::Hijacked => return Ok(()),
        }
        let may_fail = self.extras_mut().hooks.iter().any(|hook| matches!(hook, HeadHook::Content(_)));
        let header = may_fail.then(|| self.header.clone());
        let status = *self.status.get_or_insert(StatusCode::OK);
        let pending = std::mem::take(&mut self.pending);
        let mut hooks = self.call_hooks(status, Extent::Whole(&pending));
        self.pending = pending;
        let ended = self.end_decided_filters();
        if ended.is_ok() {
            hooks.clear();
        } else {
            // An error takes the place of this response. It gets the fields that every response gets, by its own
            // status, and no filter: one has just failed.
            hooks.retain(|hook| matches!(hook, HeadHook::Fields(_)));
            self.drop_filters();
            self.header = header.unwrap_or_default();
        }
        self.extras_mut().hooks = hooks;
        ended
    }

    fn end_decided_filters(&mut self) -> Result<()> {
        let filters = ResponseExtras::filters_of(&mut self.extras).filter(|filters| !filters.has_ended());
        let Some(filters) = filters else { return Ok(()) };
        let missing = filters.declared.filter(|&declared| self.written < declared);
        if self.traits.head_request && (missing.is_some() || self.written == 0) {
            // The handler has left out content that it would write for GET: its filtered length is not known,
            // and what is pending is not all of it. One that wrote nothing has not said that there is nothing.
            self.drop_filters();
            self.omitted.content_length = true;
            return Ok(());
        }
        if let Some(declared) = missing {
            let message = format!("less content than the Content-Length of {declared}");
            return Err(Error::new(ErrorKind::ContentLength, message));
        }
        filters.begin()?;
        let mut out = Vec::new();
        filters.write(&self.pending, &mut out)?;
        filters.complete(FilterStep::End, &mut out, &mut self.trailer)?;
        self.pending = out;
        Ok(())
    }

    fn with_filters(&mut self, act: impl FnOnce(&mut FilterChain) -> Result<()>) -> Result<()> {
        ResponseExtras::filters_of(&mut self.extras).map_or(Ok(()), act)
    }

    fn complete_filters(&mut self, step: FilterStep, out: &mut Vec<u8>) -> Result<()> {
        match ResponseExtras::filters_of(&mut self.extras) {
            Some(filters) => filters.complete(step, out, &mut self.trailer),
            None => Ok(()),
        }
    }
}
