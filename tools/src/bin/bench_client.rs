//! The client that benchmarks watch: `bench_client URL CONCURRENCY REQUESTS`. So many tasks share one
//! client, and each reads the whole body. Prints requests a second, and the microseconds of CPU, and
//! of user time, that a request took this process.

use std::time::{Duration, Instant};
use std::{env, fs};

use nethttp::{Client, Error, Result, Transport};

/// The requests of each task that are not counted: connections are made by them.
const WARM_UP_COUNT: usize = 8;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let usage = || Error::other("usage: bench_client URL CONCURRENCY REQUESTS");
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [url, concurrency, requests] = &arguments[..] else { return Err(usage()) };
    let concurrency: usize = concurrency.parse().map_err(|_| usage())?;
    let each = requests.parse::<usize>().map_err(|_| usage())? / concurrency;

    let mut transport = Transport::new();
    transport.max_idle_conns_per_host = concurrency;
    let client = Client::with_transport(transport);
    load(&client, url, concurrency, WARM_UP_COUNT).await?;
    let (began, before) = (Instant::now(), cpu());
    load(&client, url, concurrency, each).await?;
    let (took, after) = (began.elapsed(), cpu());

    let requests = (each * concurrency) as f64;
    let [user, system] = [after.0 - before.0, after.1 - before.1].map(|time| time.as_secs_f64() * 1e6 / requests);
    println!("{:.0} {:.3} {user:.3}", requests / took.as_secs_f64(), user + system);
    Ok(())
}

async fn load(client: &Client, url: &str, concurrency: usize, each: usize) -> Result<()> {
    let tasks: Vec<_> = (0..concurrency)
        .map(|_| {
            let (client, url) = (client.clone(), url.to_owned());
            // Ends with its last answer, or with the first that fails.
            tokio::spawn(async move { ask(&client, &url, each).await })
        })
        .collect();
    for task in tasks {
        task.await.expect("no task panics")?;
    }
    Ok(())
}

async fn ask(client: &Client, url: &str, times: usize) -> Result<()> {
    for _ in 0..times {
        let mut response = client.get(url).await?.error_for_status()?;
        while response.body.chunk().await?.is_some() {}
    }
    Ok(())
}

/// User and system time of this process, as Linux tells them: in ticks of 10 ms.
fn cpu() -> (Duration, Duration) {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The command's name is in parentheses and may hold anything; what follows is numbers.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace().collect();
    let time = |at: usize| Duration::from_millis(10) * fields.get(at).and_then(|it| it.parse().ok()).unwrap_or(0);
    (time(11), time(12))
}
