//! One URL, from the first try to the last.

use std::sync::Arc;
use std::time::SystemTime;

use nethttp::{Client, Method, Request, Response, StatusCode};

use super::exit::{Again, Exit, Failure};
use super::job::Job;
use super::name::shown;
use super::observe::{Recorded, head};
use super::options::Arguments;
use super::partial::{Continue, Fits};
use super::request::Form;
use super::retry::{Retries, after_answer, after_error};
use super::screen::{Progress, Screen};
use super::sink::Sink;
use super::waterfall::Record;

/// What all transfers share.
pub(crate) struct Transfers {
    pub(crate) arguments: Arc<Arguments>,
    pub(crate) client: Client,
    pub(crate) form: Form,
    pub(crate) screen: Arc<Screen>,
}

/// Whether another try would follow a failed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Try {
    Last,
    NotLast,
}

impl Transfers {
    /// Tries as often as it is worth it.
    pub(crate) async fn carry_out(&self, job: &Job) -> Result<(), Failure> {
        let mut retries = Retries { left: self.arguments.retry, pause: self.arguments.retry_delay };
        loop {
            let this = if retries.left == 0 { Try::Last } else { Try::NotLast };
            let Err(failure) = self.attempt(job, this).await else { return Ok(()) };
            let Some(pause) = retries.next(failure.again) else { return Err(failure) };
            self.screen.note(format!("nethttp: {}; trying again in {pause:?}", failure.message));
            tokio::time::sleep(pause).await;
        }
    }

    async fn attempt(&self, job: &Job, this: Try) -> Result<(), Failure> {
        let record = (self.arguments.trace).then(|| Arc::new(Record::new()));
        let mut wanted = if self.form.can_be_continued() { Continue::IfPossible } else { Continue::Never };
        let outcome = loop {
            let mut sink = Sink::open(&job.target, &job.url, wanted).await?;
            match self.fetch(job, &mut sink, record.as_ref(), this).await {
                Ok(Fits::From(_)) => break sink.finish().await,
                // Without the part it asks for the whole, so this happens once.
                Ok(_) => wanted = Continue::Never,
                Err(failure) => {
                    sink.give_up().await;
                    break Err(failure);
                }
            }
        };
        if let Some(record) = record {
            self.screen.say(record.render());
        }
        outcome
    }

    /// Asks, and writes what is answered. What fits nowhere is not written.
    async fn fetch(
        &self,
        job: &Job,
        sink: &mut Sink,
        record: Option<&Arc<Record>>,
        this: Try,
    ) -> Result<Fits, Failure> {
        let mut request = self.form.request(&job.url)?;
        sink.ask_for_rest(&mut request);
        if let Some(record) = record {
            trace(&mut request, record);
        }
        let method = &self.form.method;
        let answered = self.client.send(request).await;
        let mut response = answered.map_err(|error| {
            let again = after_error(&error, method);
            Failure::from(error).and_again(again)
        })?;
        self.judge(&response, job, sink, this)?;
        match sink.accept(&response).await? {
            Fits::From(there) => self.write(&mut response, job, sink, there, record).await.map(|()| Fits::From(there)),
            Fits::StartAgain => Ok(Fits::StartAgain),
            Fits::Not => Err(bad_status(&response, job)),
        }
    }

    /// Whether the answer is one to write down.
    fn judge(&self, response: &Response, job: &Job, sink: &Sink, this: Try) -> Result<(), Failure> {
        let again = after_answer(response, &self.form.method, SystemTime::now());
        // Then the whole is asked for.
        let has_no_rest = sink.asks_for_rest() && response.status == StatusCode::RANGE_NOT_SATISFIABLE;
        let is_bad = self.arguments.fail && response.status.as_u16() >= 400 && !has_no_rest;
        if is_bad || (again != Again::No && this == Try::NotLast) {
            return Err(bad_status(response, job).and_again(again));
        }
        Ok(())
    }

    async fn write(
        &self,
        response: &mut Response,
        job: &Job,
        sink: &mut Sink,
        there: u64,
        record: Option<&Arc<Record>>,
    ) -> Result<(), Failure> {
        if self.arguments.include || self.form.method == Method::HEAD {
            for earlier in response.history() {
                sink.write(&head(response.proto, earlier.status, &earlier.header)).await?;
            }
            sink.write(&head(response.proto, response.status, &response.header)).await?;
        }
        let length = response.content_length.map(|length| length.saturating_add(there));
        let progress = match sink {
            Sink::File(_) => Some(self.screen.progress(&job.name(), there, length)),
            _ => None,
        };
        let mut bytes = 0;
        let outcome = self.copy(response, sink, progress.as_ref(), &mut bytes).await;
        if let Some(record) = record {
            record.done(bytes, outcome.is_ok());
        }
        match (&outcome, progress) {
            (Ok(()), Some(progress)) => progress.done(),
            (Err(_), Some(progress)) => progress.broken(),
            _ => {}
        }
        outcome
    }

    async fn copy(
        &self,
        response: &mut Response,
        sink: &mut Sink,
        progress: Option<&Progress>,
        bytes: &mut u64,
    ) -> Result<(), Failure> {
        loop {
            let chunk = match response.body.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => return Ok(()),
                Err(error) => {
                    let can_be_repeated = sink.can_start_again() || *bytes == 0;
                    let again = if can_be_repeated { after_error(&error, &self.form.method) } else { Again::No };
                    let about = response.url().map(shown).unwrap_or_default();
                    let mut failure = Failure::from(error).and_again(again);
                    failure.message = format!("{about}: {}", failure.message);
                    return Err(failure);
                }
            };
            sink.write(&chunk).await?;
            *bytes = bytes.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
            if let Some(progress) = progress {
                progress.note(chunk.len());
            }
        }
    }
}

fn trace(request: &mut Request, record: &Arc<Record>) {
    request.set_trace(record.clone());
    request.extensions.insert(Recorded(record.clone()));
}

fn bad_status(response: &Response, job: &Job) -> Failure {
    let url = shown(response.url().unwrap_or(&job.url));
    Failure::new(Exit::Status, format!("{url}: the status is {}", response.status))
}
