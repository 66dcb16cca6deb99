//! One URL, from the first try to the last.

use std::sync::Arc;
use std::time::SystemTime;

use nethttp::{Bytes, Client, Method, Request, Response, StatusCode};

use super::failure::{Exit, Failure, Retries, RetryHint, after_error, after_response};
use super::job::Job;
use super::name::shown;
use super::observe::{Recorded, head};
use super::options::GetArguments;
use super::pace::{RateLimit, StallGuard, Stalled};
use super::partial::{FileOptions, Fits};
use super::range::ContentRange;
use super::request::RequestTemplate;
use super::screen::{Progress, Screen};
use super::sink::Sink;
use super::waterfall::Record;

/// What all transfers share.
pub(crate) struct Transfers {
    pub(crate) arguments: Arc<GetArguments>,
    pub(crate) client: Client,
    pub(crate) template: RequestTemplate,
    pub(crate) screen: Arc<Screen>,
}

impl Transfers {
    /// Tries as often as it is worth it.
    pub(crate) async fn carry_out(&self, mut job: Job) -> Result<(), Failure> {
        let mut retries = Retries::new(self.arguments.retry, self.arguments.retry_delay);
        loop {
            let record = self.arguments.trace.then(|| Arc::new(Record::new()));
            let attempt = Attempt { shared: self, record: record.clone(), is_last: retries.is_last_try() };
            let outcome = attempt.run(&mut job).await;
            if let Some(record) = record {
                self.screen.say(record.render());
            }
            let Err(failure) = outcome else { return Ok(()) };
            let Some(pause) = retries.next(&failure) else { return Err(failure) };
            self.screen.note(format!("nethttp: {}; trying again in {pause:?}", failure.message));
            tokio::time::sleep(pause).await;
        }
    }

    fn file_options(&self) -> FileOptions {
        let GetArguments { continue_at, timestamping, remote_time, .. } = &*self.arguments;
        let is_plain = self.template.can_be_continued();
        FileOptions {
            continues: is_plain,
            skips_complete: is_plain && continue_at.is_some(),
            skips_unchanged: is_plain && *timestamping,
            sets_time: *timestamping || *remote_time,
            replaces: true,
        }
    }
}

/// What a request came to.
enum Fetched {
    Written,
    /// The file is there already.
    Complete,
    /// What came is no part of the file: the whole is to be asked for.
    StartAgain,
}

/// One try.
struct Attempt<'a> {
    shared: &'a Transfers,
    record: Option<Arc<Record>>,
    /// No other follows, whatever becomes of it.
    is_last: bool,
}

impl Attempt<'_> {
    async fn run(&self, job: &mut Job) -> Result<(), Failure> {
        let mut options = self.shared.file_options();
        loop {
            let mut sink = Sink::open(&job.target, &job.url, options).await?;
            match self.fetch(job, &mut sink, options).await {
                Ok(Fetched::Written) => return sink.finish().await,
                Ok(Fetched::Complete) => {
                    sink.give_up().await;
                    self.shared.screen.note(format!("nethttp: {} is complete already", job.name()));
                    return Ok(());
                }
                // Without a part it asks for the whole, so this happens once.
                Ok(Fetched::StartAgain) => {
                    sink.give_up().await;
                    options = options.anew();
                }
                Err(failure) => return Err(Failure { kept_bytes: sink.give_up().await, ..failure }),
            }
        }
    }

    /// Sends the request, and writes the response. What fits nowhere is not written.
    async fn fetch(&self, job: &mut Job, sink: &mut Sink, options: FileOptions) -> Result<Fetched, Failure> {
        let template = &self.shared.template;
        let mut request = template.request(&job.url)?;
        sink.set_conditions(&mut request);
        let has_range = request.header.contains("Range");
        if let Some(record) = &self.record {
            trace(&mut request, record);
        }
        let sent = self.shared.client.send(request).await;
        let mut response = sent.map_err(|error| {
            let hint = after_error(&error, &template.method);
            Failure::from(error).with_hint(hint)
        })?;
        self.check_status(&response, job, sink)?;
        self.check_range(&response, job, has_range)?;
        sink.choose_name(&mut job.target, &response, &job.url, options).await?;
        match sink.accept(&response).await? {
            Fits::From(first) => self.write(&mut response, job, sink, first).await,
            Fits::Complete => Ok(Fetched::Complete),
            Fits::StartAgain => Ok(Fetched::StartAgain),
            Fits::Not => Err(bad_status(&response, job)),
        }
    }

    /// Whether the response is one to write down.
    fn check_status(&self, response: &Response, job: &Job, sink: &Sink) -> Result<(), Failure> {
        let hint = after_response(response, &self.shared.template.method, SystemTime::now());
        // The command chose the range itself, and asks for the whole when there is none.
        let has_no_rest = sink.asks_for_range() && response.status == StatusCode::RANGE_NOT_SATISFIABLE;
        let is_bad = self.shared.arguments.fail && response.status.as_u16() >= 400 && !has_no_rest;
        if is_bad || (hint != RetryHint::No && !self.is_last) {
            return Err(bad_status(response, job).with_hint(hint));
        }
        Ok(())
    }

    /// Refuses a 206 to a request without a range, which would be taken for the whole, and anything but
    /// the range of `-r` where that was asked for.
    fn check_range(&self, response: &Response, job: &Job, has_range: bool) -> Result<(), Failure> {
        let broken = |what: &str| Err(Failure::new(Exit::Broken, format!("{}: {what}", about(response, job))));
        let is_part = response.status == StatusCode::PARTIAL_CONTENT;
        if is_part && !has_range {
            return broken("the server sent a part where the whole was asked for");
        }
        // Other methods have no ranges (RFC 9110 §14.2).
        let is_answer = response.status.is_success() && self.shared.template.method == Method::GET;
        let Some(spec) = self.shared.arguments.range.filter(|_| is_answer) else { return Ok(()) };
        if !is_part {
            return broken("the server sends no ranges; without -r it would send the whole");
        }
        let range = ContentRange::of(&response.header);
        match range.filter(|&range| spec.is_answered_by(range)) {
            Some(range) if response.content_length.is_none_or(|length| length == range.length()) => Ok(()),
            _ => broken("the server sent another range than the one that was asked for"),
        }
    }

    async fn write(&self, response: &mut Response, job: &Job, sink: &mut Sink, first: u64) -> Result<Fetched, Failure> {
        let length = response.content_length.map(|length| length.saturating_add(first));
        let progress = match sink {
            Sink::File(_) => Some(self.shared.screen.progress(&job.name(), first, length)),
            _ => None,
        };
        let mut copying = Copying {
            url: about(response, job),
            method: &self.shared.template.method,
            head: self.head(response),
            expected_bytes: self.expected_bytes(response),
            bytes: 0,
            stall_guard: StallGuard::new(self.shared.arguments.speed_limit, self.shared.arguments.speed_time),
            rate_limit: self.shared.arguments.limit_rate.map(RateLimit::new),
            progress: progress.as_ref(),
        };
        if self.is_last {
            copying.write_head(sink).await?;
        }
        let outcome = copying.run(response, sink).await;
        let (bytes, is_as_announced) = (copying.bytes, copying.is_as_announced());
        if let Some(record) = &self.record {
            record.done(bytes, outcome.is_ok());
        }
        match (&outcome, progress) {
            (Ok(()), Some(progress)) => progress.done(),
            (Err(_), Some(progress)) => progress.broken(),
            _ => {}
        }
        outcome?;
        match (is_as_announced, first) {
            (true, _) => Ok(Fetched::Written),
            (false, 0) => {
                let message = format!("{}: the content is not as long as its range", about(response, job));
                Err(Failure::new(Exit::Broken, message))
            }
            // Part of it was written after the first half, and may be anything.
            (false, _) => sink.distrust().await.map(|()| Fetched::StartAgain),
        }
    }

    /// Status and fields, where they are to be written, with those of redirects.
    fn head(&self, response: &Response) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self.shared.arguments.include || self.shared.template.method == Method::HEAD {
            for earlier in response.history() {
                bytes.extend(head(response.proto, earlier.status, &earlier.header));
            }
            bytes.extend(head(response.proto, response.status, &response.header));
        }
        bytes
    }

    /// How long the content of a range must be. The length of other responses is checked by the library.
    fn expected_bytes(&self, response: &Response) -> Option<u64> {
        let is_part = response.status == StatusCode::PARTIAL_CONTENT && self.shared.template.method != Method::HEAD;
        ContentRange::of(&response.header).filter(|_| is_part).map(ContentRange::length)
    }
}

/// Content on its way from a response to where it is written.
struct Copying<'a> {
    url: String,
    method: &'a Method,
    /// What stands before the content, as long as it is not written.
    head: Vec<u8>,
    expected_bytes: Option<u64>,
    bytes: u64,
    stall_guard: StallGuard,
    rate_limit: Option<RateLimit>,
    progress: Option<&'a Progress>,
}

impl Copying<'_> {
    async fn run(&mut self, response: &mut Response, sink: &mut Sink) -> Result<(), Failure> {
        while let Some(chunk) = self.next(response, sink).await? {
            // Not before content is there: if none comes, the next try writes its own head.
            self.write_head(sink).await?;
            self.bytes = self.bytes.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
            if self.expected_bytes.is_some_and(|expected| self.bytes > expected) {
                return Ok(());
            }
            sink.write(&chunk).await?;
            if let Some(progress) = self.progress {
                progress.note(chunk.len());
            }
            if let Some(limit) = &mut self.rate_limit {
                limit.pause(chunk.len()).await;
            }
        }
        self.write_head(sink).await
    }

    async fn next(&mut self, response: &mut Response, sink: &Sink) -> Result<Option<Bytes>, Failure> {
        let can_be_repeated = sink.can_start_again() || self.bytes == 0;
        match self.stall_guard.chunk(&mut response.body).await {
            Ok(Ok(chunk)) => Ok(chunk),
            Ok(Err(error)) => {
                let hint = if can_be_repeated { after_error(&error, self.method) } else { RetryHint::No };
                let failure = Failure::from(error).with_hint(hint);
                let message = format!("{}: {}", self.url, failure.message);
                Err(Failure { message, ..failure })
            }
            Err(Stalled { bytes, window }) => {
                let hint = if can_be_repeated && self.method.is_idempotent() { RetryHint::Yes } else { RetryHint::No };
                let message = format!("{}: only {bytes} bytes came in {window:?} (--speed-time)", self.url);
                Err(Failure::new(Exit::Timeout, message).with_hint(hint))
            }
        }
    }

    async fn write_head(&mut self, sink: &mut Sink) -> Result<(), Failure> {
        let head = std::mem::take(&mut self.head);
        if head.is_empty() { Ok(()) } else { sink.write(&head).await }
    }

    fn is_as_announced(&self) -> bool {
        self.expected_bytes.is_none_or(|expected| expected == self.bytes)
    }
}

fn trace(request: &mut Request, record: &Arc<Record>) {
    request.set_trace(record.clone());
    request.extensions.insert(Recorded(record.clone()));
}

fn about(response: &Response, job: &Job) -> String {
    shown(response.url().unwrap_or(&job.url))
}

fn bad_status(response: &Response, job: &Job) -> Failure {
    Failure::new(Exit::Status, format!("{}: the status is {}", about(response, job), response.status))
}
