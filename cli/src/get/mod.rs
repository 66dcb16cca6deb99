//! `nethttp get`: URLs to standard output or into files.
//!
//! ```text
//! options ─► job: which URL goes where ─► transfer: try, and try again ─► sink: standard output, files
//!       ├──► request: what is sent              ├─ failure: what is said,      └─ partial: NAME.part
//!       │         └─ upload: content            │           whether to retry
//!       └──► network: one client for all        └─ pace: not too slow, not too fast
//!                 └─ observe, waterfall: -v, --trace
//! ```

mod cookies;
mod failure;
mod job;
mod name;
mod netrc;
mod network;
mod observe;
mod options;
mod pace;
mod partial;
mod range;
mod request;
mod screen;
mod sink;
mod transfer;
mod upload;
mod values;

pub(crate) use self::values::seconds;
mod waterfall;

use std::process::ExitCode;
use std::sync::Arc;

use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::cookies::Cookies;
use self::failure::{Exit, Failure};
use self::job::{Job, Target};
use self::netrc::Netrc;
pub(crate) use self::options::GetArguments;
use self::request::RequestTemplate;
use self::screen::{Screen, Shown};
use self::transfer::Transfers;

/// Gets all URLs. The exit code is that of the first one that failed.
pub(crate) fn run(arguments: GetArguments) -> ExitCode {
    let failed = match Prepared::new(arguments) {
        Ok(prepared) => prepared.carry_out(),
        Err(failure) => {
            say(&Screen::new(Shown { files: 0, silent: false }), &failure);
            Some(failure.exit)
        }
    };
    failed.map_or(ExitCode::SUCCESS, |exit| ExitCode::from(exit as u8))
}

/// All that is made of the command line before anything is sent.
struct Prepared {
    runtime: Runtime,
    transfers: Arc<Transfers>,
    jobs: Vec<Job>,
    cookies: Cookies,
}

impl Prepared {
    fn new(arguments: GetArguments) -> Result<Prepared, Failure> {
        let arguments = Arc::new(arguments);
        let jobs = job::jobs(&arguments)?;
        let is_file = |job: &&Job| matches!(job.target, Target::File(_) | Target::Announced { .. });
        let files = jobs.iter().filter(is_file).count();
        let screen = Arc::new(Screen::new(Shown { files, silent: arguments.silent }));
        let cookies = Cookies::new(&arguments)?;
        let netrc = Arc::new(Netrc::of(&arguments)?);
        let mut client = network::client(&arguments, &screen)?;
        client.jar = cookies.jar();
        client.check_redirect = Some(request::redirect_hook(&arguments, &netrc));
        let template = RequestTemplate::new(arguments.clone(), &cookies, netrc)?;
        let runtime = Runtime::new().map_err(|error| Failure::local("no threads could be started", &error))?;
        Ok(Prepared { runtime, transfers: Arc::new(Transfers { arguments, client, template, screen }), jobs, cookies })
    }

    fn carry_out(self) -> Option<Exit> {
        let failed = self.runtime.block_on(all(&self.transfers, self.jobs));
        // A lookup of a name cannot be called off, and may outlast every time limit.
        self.runtime.shutdown_background();
        let Err(failure) = self.cookies.save() else { return failed };
        say(&self.transfers.screen, &failure);
        failed.or(Some(failure.exit))
    }
}

/// Files side by side, and what goes to standard output in order. Answers with the end of the first
/// job that failed, in the order of the URLs.
async fn all(transfers: &Arc<Transfers>, jobs: Vec<Job>) -> Option<Exit> {
    let permits = Arc::new(Semaphore::new(transfers.arguments.parallel_max));
    let mut running = JoinSet::new();
    let mut in_order = Vec::new();
    for (number, job) in jobs.into_iter().enumerate() {
        if job.target == Target::Stdout {
            in_order.push((number, job));
            continue;
        }
        let (transfers, permits) = (transfers.clone(), permits.clone());
        // Ends with its transfer, and is waited for below.
        running.spawn(async move {
            let _permit = permits.acquire().await;
            (number, one(&transfers, job).await)
        });
    }
    let mut ends = Vec::new();
    for (number, job) in in_order {
        let end = one(transfers, job).await;
        ends.push((number, end));
        if end == Some(Exit::ReaderGone) {
            break;
        }
    }
    while let Some(end) = running.join_next().await {
        // A panic has been reported by itself, and counts as a fault of ours.
        ends.push(end.unwrap_or((usize::MAX, Some(Exit::Local))));
    }
    transfers.screen.end();
    ends.sort_unstable_by_key(|(number, _)| *number);
    ends.into_iter().find_map(|(_, end)| end)
}

async fn one(transfers: &Transfers, job: Job) -> Option<Exit> {
    let failure = transfers.carry_out(job).await.err()?;
    say(&transfers.screen, &failure);
    Some(failure.exit)
}

fn say(screen: &Screen, failure: &Failure) {
    if failure.exit != Exit::ReaderGone {
        screen.say(format!("nethttp: {}", screen::escaped(&failure.message)));
    }
}
