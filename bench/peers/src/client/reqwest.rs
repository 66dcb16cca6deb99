//! reqwest, without TLS: its defaults otherwise.

use peers::client::Load;
use reqwest::Client;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let load = Load::from_arguments();
    let client = Client::new();
    load.measure(async |lap| {
        let tasks: Vec<_> = (0..load.concurrency)
            .map(|_| tokio::spawn(ask(client.clone(), load.url.clone(), load.each(lap))))
            .collect();
        for task in tasks {
            task.await.expect("no task panics");
        }
    })
    .await;
}

async fn ask(client: Client, url: String, times: usize) {
    for _ in 0..times {
        let response = client.get(&url).send().await.and_then(|response| response.error_for_status());
        let mut response = response.expect("every request is answered");
        while response.chunk().await.expect("the body is whole").is_some() {}
    }
}
