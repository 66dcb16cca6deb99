//! ureq, which blocks: a thread for each task. It reads content into the caller's memory.

use std::io::Read;
use std::thread;

use peers::client::{Lap, Load};
use ureq::Agent;

/// The size of one read of content.
const BUFFER_BYTES: usize = 64 << 10;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let load = Load::from_arguments();
    let config = Agent::config_builder().max_idle_connections(load.concurrency);
    let agent: Agent = config.max_idle_connections_per_host(load.concurrency).build().into();
    load.measure(async |lap: Lap| {
        thread::scope(|scope| {
            for _ in 0..load.concurrency {
                scope.spawn(|| ask(&agent, &load.url, load.each(lap)));
            }
        });
    })
    .await;
}

fn ask(agent: &Agent, url: &str, times: usize) {
    let mut buffer = vec![0; BUFFER_BYTES];
    for _ in 0..times {
        let mut response = agent.get(url).call().expect("every request is answered");
        let mut content = response.body_mut().as_reader();
        while content.read(&mut buffer).expect("the body is whole") > 0 {}
    }
}
