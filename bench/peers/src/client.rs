//! What all clients here share: their arguments, and the output of the measurement.

use std::time::{Duration, Instant};
use std::{env, fs};

/// The requests of each task that are not counted: connections are made by them.
const WARM_UP: usize = 8;

/// The arguments of every client: `URL CONCURRENCY REQUESTS`.
pub struct Load {
    pub url: String,
    /// How many tasks share one client.
    pub concurrency: usize,
    /// How many requests each of them makes.
    each: usize,
}

/// How many requests a task makes: a few to warm up, then those that count.
#[derive(Clone, Copy)]
pub enum Lap {
    WarmUp,
    Counted,
}

impl Load {
    pub fn from_arguments() -> Load {
        let arguments: Vec<String> = env::args().skip(1).collect();
        let [url, concurrency, requests] = &arguments[..] else { panic!("usage: URL CONCURRENCY REQUESTS") };
        let number = |text: &String| text.parse().expect("CONCURRENCY and REQUESTS are numbers");
        let concurrency = number(concurrency);
        Load { url: url.clone(), concurrency, each: number(requests) / concurrency }
    }

    pub fn each(&self, lap: Lap) -> usize {
        match lap {
            Lap::WarmUp => WARM_UP,
            Lap::Counted => self.each,
        }
    }

    /// Does both laps, and prints what the second one took: requests a second, and microseconds of
    /// CPU, and of user time, for one request.
    pub async fn measure(&self, lap: impl AsyncFn(Lap)) {
        lap(Lap::WarmUp).await;
        let watch = Watch::start();
        lap(Lap::Counted).await;
        watch.print(self);
    }
}

/// Since when it is measured.
pub struct Watch {
    began: Instant,
    user: Duration,
    system: Duration,
}

impl Watch {
    pub fn start() -> Watch {
        let (user, system) = cpu();
        Watch { began: Instant::now(), user, system }
    }

    pub fn print(&self, load: &Load) {
        let took = self.began.elapsed().as_secs_f64();
        let (user, system) = cpu();
        let requests = (load.each * load.concurrency) as f64;
        let each = |time: Duration| time.as_secs_f64() * 1e6 / requests;
        let (user, system) = (each(user - self.user), each(system - self.system));
        println!("{:.0} {:.3} {user:.3}", requests / took, user + system);
    }
}

/// User and system time of this process, threads that have ended included, in ticks of 10 ms.
fn cpu() -> (Duration, Duration) {
    let stat = fs::read_to_string("/proc/self/stat").expect("Linux says what a process takes");
    // The command's name is in parentheses and may hold anything; what follows is numbers.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace().collect();
    let time = |at: usize| Duration::from_millis(10) * fields[at].parse().expect("a number of ticks");
    (time(11), time(12))
}
