//! Whether a server wants requests: what load balancers and orchestrators ask it.

use std::fmt::{self, Write as _};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::StatusCode;
use tokio::time::timeout;

use super::handler::Handler;
use super::response::ResponseWriter;
use super::server::Server;
use crate::error::Result;
use crate::message::Request;

/// A handler that says whether the server wants requests: 200 while it does, 503 once a signal has asked it to end
/// ([`Server::until_signal`]) or it drains ([`Context::draining`](crate::Context::draining)), and while a check of the
/// program's fails. For the readiness probes
/// of Kubernetes, the health checks of load balancers, and [`Upstreams`](crate::reverse_proxy::Upstreams).
///
/// A failing check takes this server out of service, so check what it cannot serve without, and nothing that it shares
/// with all others: when the database is gone, all are out of service at once, and clients see an error of the
/// balancer in place of yours. Whether the process has to be started anew is another question, and
/// [`liveness`] answers that one.
///
/// The content is a line for each check, `name: ok`, `name: failed` or `name: timed out`, and `draining` above them when
/// the server drains. What an error says is for nobody outside, so it is not in the response: a check logs it by itself. Responses are not
/// to be kept (`Cache-Control: no-store`). Checks run at each request, all at once, on its task, and are dropped when
/// their time is over: whoever can ask can make them run, so keep them cheap, or the path inside.
///
/// ```
/// use std::time::Duration;
///
/// use nethttp::ServeMux;
/// use nethttp::server::{Readiness, liveness};
///
/// let mux = ServeMux::new();
/// mux.handle("GET /healthz", liveness());
/// let ready = Readiness::new()
///     .check("cache", async || tokio::fs::metadata("/var/cache/site").await.map(drop))
///     .timeout(Duration::from_millis(500));
/// mux.handle("GET /readyz", ready);
/// ```
#[derive(Clone)]
pub struct Readiness {
    checks: Arc<[ReadinessCheck]>,
    timeout: Duration,
}

#[derive(Clone)]
struct ReadinessCheck {
    name: Arc<str>,
    run: Arc<dyn Fn() -> CheckFuture + Send + Sync>,
}

type CheckFuture = Pin<Box<dyn Future<Output = bool> + Send>>;

/// Less than the second after which Kubernetes gives a probe up, so that the answer is seen.
const CHECK_TIMEOUT: Duration = Duration::from_millis(900);

impl Readiness {
    /// Without a check: ready until the server drains.
    pub fn new() -> Readiness {
        Readiness { checks: Arc::new([]), timeout: CHECK_TIMEOUT }
    }

    /// Adds a check. It fails with an error, and when it takes too long; one that panics is a handler that does. The name is shown to whoever asks;
    /// control characters in it are escaped.
    #[must_use]
    pub fn check<F, Fut, E>(mut self, name: impl Into<String>, check: F) -> Readiness
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = std::result::Result<(), E>> + Send + 'static,
    {
        let name: String = name.into().chars().flat_map(escaped).collect();
        let run = move || -> CheckFuture {
            let running = check();
            Box::pin(async move { running.await.is_ok() })
        };
        let added = ReadinessCheck { name: name.into(), run: Arc::new(run) };
        self.checks = self.checks.iter().cloned().chain([added]).collect();
        self
    }

    /// How long each check may take. Default: 900 ms, which is less than the second that a probe of Kubernetes waits.
    /// Zero: each check that is not done at once fails.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Readiness {
        self.timeout = timeout;
        self
    }

    /// What each check has come to, in their order.
    async fn outcomes(&self) -> Vec<CheckOutcome> {
        let run = |check: &ReadinessCheck| {
            let running = (check.run)();
            let limit = self.timeout;
            let limited = async move {
                match timeout(limit, running).await {
                    Ok(true) => CheckOutcome::Passed,
                    Ok(false) => CheckOutcome::Failed,
                    Err(_) => CheckOutcome::TimedOut,
                }
            };
            RunningCheck { future: Box::pin(limited), outcome: None }
        };
        let mut all: Vec<RunningCheck> = self.checks.iter().map(run).collect();
        poll_fn(|cx| {
            for one in &mut all {
                if one.outcome.is_none() {
                    if let Poll::Ready(outcome) = one.future.as_mut().poll(cx) {
                        one.outcome = Some(outcome);
                    }
                }
            }
            if all.iter().all(|one| one.outcome.is_some()) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        all.into_iter().filter_map(|one| one.outcome).collect()
    }
}

/// A check that runs, and what it has come to.
struct RunningCheck {
    future: Pin<Box<dyn Future<Output = CheckOutcome> + Send>>,
    outcome: Option<CheckOutcome>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum CheckOutcome {
    Passed,
    Failed,
    TimedOut,
}

impl Handler for Readiness {
    async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        // A server that drains is asked for nothing else: the answer is certain.
        let (is_draining, outcomes) = match is_leaving(r) {
            true => (true, Vec::new()),
            false => (false, self.outcomes().await),
        };
        let is_ready = !is_draining && outcomes.iter().all(|&outcome| outcome == CheckOutcome::Passed);
        let mut text = String::from(if is_draining { "draining\n" } else { "" });
        for (check, outcome) in self.checks.iter().zip(&outcomes) {
            let outcome = match outcome {
                CheckOutcome::Passed => "ok",
                CheckOutcome::Failed => "failed",
                CheckOutcome::TimedOut => "timed out",
            };
            // Writing to a `String` cannot fail.
            let _ = writeln!(text, "{}: {outcome}", check.name);
        }
        if text.is_empty() {
            text.push_str("ok\n");
        }
        answer(w, if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, text).await
    }
}

impl Default for Readiness {
    fn default() -> Readiness {
        Readiness::new()
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Vec::from_iter(self.checks.iter().map(|check| &check.name));
        f.debug_struct("Readiness").field("checks", &names).field("timeout", &self.timeout).finish()
    }
}

/// A handler that says that the process lives: 200, also while the server drains, since a process that ends in good
/// order must not be killed for it. A runtime that does nothing any more does not answer, which is what liveness probes
/// look for.
pub fn liveness() -> impl Handler {
    async |w: &mut ResponseWriter, _: &mut Request| answer(w, StatusCode::OK, "ok\n".to_owned()).await
}

async fn answer(w: &mut ResponseWriter, status: StatusCode, text: String) -> Result<()> {
    w.header().set("Content-Type", "text/plain; charset=utf-8");
    w.header().set("Cache-Control", "no-store");
    w.write_header(status);
    w.write(text).await
}

fn is_leaving(r: &Request) -> bool {
    let context = r.context();
    context.is_draining() || context.value::<Server>().is_some_and(|server| server.state().leaving.is_over(0))
}

/// A name is one line in the response.
fn escaped(letter: char) -> Vec<char> {
    if letter.is_control() { letter.escape_default().collect() } else { vec![letter] }
}
