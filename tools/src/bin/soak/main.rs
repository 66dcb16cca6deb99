//! A soak test: a server under mixed load, good and bad, and whether the resources that it holds stay
//! constant.
//!
//! ```text
//! cargo run --release -p tools --bin soak -- 5         five minutes; `20s` are twenty seconds
//! cargo run --release -p tools --bin soak -- 5 http2   clients of HTTP/2 alone, with TLS and without
//! ```
//!
//! The server is this program once more, in a process of its own ([`server`]), so that what it takes can
//! be told apart. Clients of every kind ([`kinds`]) run all the time. Every ten seconds a line shows how
//! many clients of each kind have finished, what failed, and what both processes hold. At the end all
//! clients leave, and tasks and descriptors must be back where they were. Ends with 1, and says why, when
//! something is not as it must be. Needs Linux, which says what a process holds.

mod counts;
mod kinds;
mod process;
mod raw;
mod resets;
mod server;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use counts::Counts;
use kinds::{Over, World, kinds_over};
use process::{Held, Soaked};

fn main() -> ExitCode {
    let argument = std::env::args().nth(1).unwrap_or_else(|| "5".to_owned());
    let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
    if argument == "serve" {
        runtime.block_on(server::run());
        return ExitCode::SUCCESS;
    }
    let over = match std::env::args().nth(2).as_deref() {
        None => Some(Over::All),
        Some("http2") => Some(Over::Http2),
        Some(_) => None,
    };
    let (Some(length), Some(over)) = (length(&argument), over) else {
        eprintln!("soak: how long? Minutes, as in `soak 5`, or seconds, as in `soak 20s`; then `http2`, or nothing");
        return ExitCode::from(2);
    };
    match runtime.block_on(soak(length, over)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("NOT FLAT: {why}");
            ExitCode::FAILURE
        }
    }
}

fn length(argument: &str) -> Option<Duration> {
    let (number, unit) = match argument.strip_suffix('s') {
        Some(number) => (number, 1.0),
        None => (argument, 60.0),
    };
    let seconds = number.parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0)? * unit;
    Some(Duration::from_secs_f64(seconds))
}

async fn soak(length: Duration, over: Over) -> Result<(), String> {
    let mut soaked = Soaked::start()?;
    let counts = Arc::new(Counts::default());
    let world = Arc::new(World::new(&soaked, over));
    // Things that are made once are made before the count begins.
    kinds::warm_up(&world).await.map_err(|error| format!("the first requests fail: {error}"))?;
    let world = {
        drop(world);
        Arc::new(World::new(&soaked, over))
    };
    let before = soaked.quiet().await.ok_or("the server is not quiet before it begins")?;
    let began = Instant::now();
    let mut working = tokio::task::JoinSet::new();
    for (number, (kind, workers)) in kinds_over(over).enumerate() {
        for worker in 0..workers {
            // Ends when the time is over.
            working.spawn(kinds::work(world.clone(), counts.clone(), kind, number * 1000 + worker, began + length));
        }
    }
    let watching = counts.clone();
    working.spawn(async move { watching.watch_lag(began + length).await });
    let samples = watch(&mut soaked, &counts, over, began, length).await?;
    while working.join_next().await.is_some() {}
    drop(world);
    let after = soaked.quiet().await;
    println!("{}", counts.line(began.elapsed(), over, after.as_ref().unwrap_or(&soaked.held())));
    if let Some(none) = counts.missing(over) {
        return Err(format!("no client of the kind {none:?} came to its end"));
    }
    judge(&counts, &before, after, &samples, length)
}

/// A line each ten seconds, more often where there are few. What the server held at each.
async fn watch(
    soaked: &mut Soaked,
    counts: &Counts,
    over: Over,
    began: Instant,
    length: Duration,
) -> Result<Vec<u64>, String> {
    let pause = Duration::from_secs(10).min(length / 4);
    let mut samples = Vec::new();
    while began.elapsed() + pause / 2 < length {
        tokio::time::sleep(pause.min(length.saturating_sub(began.elapsed()))).await;
        soaked.assert_lives()?;
        let held = soaked.ask().await.map_err(|error| format!("the server does not say how it is: {error}"))?;
        println!("{}", counts.line(began.elapsed(), over, &held));
        samples.push(held.server_kib);
    }
    Ok(samples)
}

/// What may be held more at the end than in the beginning, by how the system gives memory out.
const SLACK_KIB: u64 = 4096;

fn judge(counts: &Counts, before: &Held, after: Option<Held>, samples: &[u64], length: Duration) -> Result<(), String> {
    if let Some(unexpected) = counts.unexpected() {
        return Err(unexpected);
    }
    let Some(after) = after else { return Err("connections are left after all clients have gone".to_owned()) };
    if after.server_faults > 0 {
        return Err(format!("the server reports {} faults of its own", after.server_faults));
    }
    let counted = |held: &Held| [held.server_tasks, held.server_descriptors, held.own_tasks, held.own_descriptors];
    if counted(&after) != counted(before) {
        return Err(format!("the server held {before}, and holds {after}"));
    }
    if length < Duration::from_secs(60) {
        println!("flat: tasks and descriptors are back where they were; too short to judge memory");
        return Ok(());
    }
    // The second quarter against the last: by then all kinds have come at once.
    let (early, late) = (&samples[samples.len() / 4..samples.len() / 2], &samples[samples.len() * 3 / 4..]);
    let most = |samples: &[u64]| samples.iter().copied().max().unwrap_or_default();
    if most(late) > most(early) + most(early) / 10 + SLACK_KIB {
        return Err(format!("memory grew from {} KiB to {} KiB", most(early), most(late)));
    }
    println!(
        "flat: tasks and descriptors are back where they were, {} KiB then and {} KiB now",
        most(early),
        most(late)
    );
    Ok(())
}
