//! hyper-util's pooled client, as its documentation sets it up.

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::Uri;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use peers::client::Load;

type Pooled = Client<HttpConnector, Empty<Bytes>>;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let load = Load::from_arguments();
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    // With a timer its pool closes what is idle too long, as those of the others do.
    let client: Pooled = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector);
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

async fn ask(client: Pooled, url: String, times: usize) {
    for _ in 0..times {
        let url: Uri = url.parse().expect("a URL");
        let mut response = client.get(url).await.expect("every request is answered");
        assert!(response.status().is_success());
        while let Some(frame) = response.body_mut().frame().await {
            frame.expect("the body is whole");
        }
    }
}
