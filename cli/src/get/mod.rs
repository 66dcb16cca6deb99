//! `nethttp get`: URLs to standard output or into files.
//!
//! ```text
//! options ─► jobs: which URL goes where ─► transfer: try, and try again ─► sink
//!       └──► request: one client, the form of each request    │              └─ partial: NAME.part
//!                    └─ observe: -v, --trace                  └─ retry: whether, and when
//! ```

mod exit;
mod job;
mod name;
mod observe;
mod options;
mod partial;
mod request;
mod retry;
mod screen;
mod sink;
mod transfer;
mod waterfall;

use std::process::ExitCode;
use std::sync::Arc;

use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::exit::{Exit, Failure};
use self::job::{Job, Target};
pub(crate) use self::options::Arguments;
use self::request::Form;
use self::screen::{Screen, Shown};
use self::transfer::Transfers;

/// Gets everything, and says in its exit code what the first URL that failed failed of.
pub(crate) fn run(arguments: Arguments) -> ExitCode {
    let failed = match prepare(arguments) {
        Ok((runtime, transfers, jobs)) => {
            let failed = runtime.block_on(all(&Arc::new(transfers), jobs));
            // A lookup of a name cannot be called off, and may outlast every time limit.
            runtime.shutdown_background();
            failed
        }
        Err(failure) => {
            say(&Screen::new(Shown { files: 0, silent: false }), &failure);
            Some(failure.exit)
        }
    };
    failed.map_or(ExitCode::SUCCESS, |exit| ExitCode::from(exit as u8))
}

fn prepare(arguments: Arguments) -> Result<(Runtime, Transfers, Vec<Job>), Failure> {
    let arguments = Arc::new(arguments);
    let jobs = job::jobs(&arguments)?;
    let files = jobs.iter().filter(|job| matches!(job.target, Target::File(_))).count();
    let screen = Arc::new(Screen::new(Shown { files, silent: arguments.silent }));
    let client = request::client(&arguments, &screen)?;
    let form = Form::new(arguments.clone())?;
    let runtime = Runtime::new().map_err(|error| Failure::local("no threads could be started", &error))?;
    Ok((runtime, Transfers { arguments, client, form, screen }, jobs))
}

/// Files side by side, and what goes to standard output in order. Answers with the end of the first
/// job that failed, in the order of the URLs.
async fn all(transfers: &Arc<Transfers>, jobs: Vec<Job>) -> Option<Exit> {
    let turns = Arc::new(Semaphore::new(transfers.arguments.parallel_max));
    let mut running = JoinSet::new();
    let mut in_order = Vec::new();
    for (number, job) in jobs.into_iter().enumerate() {
        if job.target == Target::Stdout {
            in_order.push((number, job));
            continue;
        }
        let (transfers, turns) = (transfers.clone(), turns.clone());
        // Ends with its transfer, and is waited for below.
        running.spawn(async move {
            let _turn = turns.acquire().await;
            (number, one(&transfers, &job).await)
        });
    }
    let mut ends = Vec::new();
    for (number, job) in in_order {
        let end = one(transfers, &job).await;
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

async fn one(transfers: &Transfers, job: &Job) -> Option<Exit> {
    let failure = transfers.carry_out(job).await.err()?;
    say(&transfers.screen, &failure);
    Some(failure.exit)
}

fn say(screen: &Screen, failure: &Failure) {
    if failure.exit != Exit::ReaderGone {
        screen.say(format!("nethttp: {}", screen::escaped(&failure.message)));
    }
}
