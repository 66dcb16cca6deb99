//! Many pages at once, not too many, with each failure told apart: what to try again and what not.

use std::time::Duration;

use nethttp::error::Sent;
use nethttp::{Client, ErrorKind, Result, StatusCode};
use tokio::task::JoinSet;

#[derive(Debug, PartialEq)]
enum Outcome {
    Page(usize),
    Missing,
    Refused(StatusCode),
    TimedOut,
    /// Nothing of the request had left, so that it can be sent again whatever it was.
    NotReached(String),
    Broken(String),
}

const MAX_PAGE_BYTES: u64 = 1 << 20;

async fn length(client: &Client, url: &str) -> Result<usize> {
    let mut response = client.get(url).await?.error_for_status()?;
    Ok(response.body.bytes(MAX_PAGE_BYTES).await?.len())
}

async fn visit(client: &Client, url: &str) -> Outcome {
    let error = match length(client, url).await {
        Ok(length) => return Outcome::Page(length),
        Err(error) => error,
    };
    match (error.kind(), error.status()) {
        (ErrorKind::Status, Some(StatusCode::NOT_FOUND | StatusCode::GONE)) => Outcome::Missing,
        (ErrorKind::Status, Some(status)) => Outcome::Refused(status),
        (ErrorKind::TimedOut, _) => Outcome::TimedOut,
        _ if error.sent() == Some(Sent::No) => Outcome::NotReached(error.to_string()),
        _ => Outcome::Broken(error.to_string()),
    }
}

/// The connections to one host are limited by the transport; this limits how many pages are held at a time.
async fn crawl(client: &Client, urls: Vec<String>) -> Vec<(String, Outcome)> {
    let (mut tasks, mut outcomes) = (JoinSet::new(), Vec::new());
    for url in urls {
        if tasks.len() == 20 {
            outcomes.extend(tasks.join_next().await.and_then(std::result::Result::ok));
        }
        let client = client.clone();
        tasks.spawn(async move { (url.clone(), visit(&client, &url).await) });
    }
    outcomes.extend(tasks.join_all().await);
    outcomes
}

fn client() -> Client {
    let mut client = Client::new();
    client.timeout = Duration::from_secs(30);
    client
}

// ------------------------------------------------------------ tried

#[tokio::test(start_paused = true)]
async fn each_outcome_is_told_apart() {
    use nethttp::{Request, ResponseWriter, ServeMux};
    let mux = ServeMux::new();
    mux.handle("/page/", async |w: &mut ResponseWriter, _: &mut Request| w.write("a page").await);
    mux.handle("/closed", async |w: &mut ResponseWriter, _: &mut Request| {
        w.error(StatusCode::FORBIDDEN, "closed").await
    });
    mux.handle("/late", async |_: &mut ResponseWriter, r: &mut Request| {
        r.context().cancelled().await;
        Ok(())
    });
    mux.handle("/large", async |w: &mut ResponseWriter, _: &mut Request| w.write(vec![b'x'; 2 << 20]).await);
    mux.handle("/cut", async |w: &mut ResponseWriter, _: &mut Request| {
        w.write("some").await?;
        w.flush().await?;
        nethttp::server::abort()
    });
    let server = nethttp::testing::Server::builder(mux).in_memory().start();
    let mut visitor = server.client();
    visitor.timeout = client().timeout;
    let url = |path: &str| format!("{}{path}", server.url());
    assert_eq!(visit(&visitor, &url("/closed")).await, Outcome::Refused(StatusCode::FORBIDDEN));
    assert_eq!(visit(&visitor, &url("/late")).await, Outcome::TimedOut);
    assert_eq!(visit(&visitor, &url("/nothing")).await, Outcome::Missing);
    for path in ["/cut", "/large"] {
        assert!(matches!(visit(&visitor, &url(path)).await, Outcome::Broken(_)), "{path}");
    }
    assert!(matches!(visit(&client(), "http://127.0.0.1:1/").await, Outcome::NotReached(_)));
    let outcomes = crawl(&visitor, (0..50).map(|number| url(&format!("/page/{number}"))).collect()).await;
    assert!(outcomes.len() == 50 && outcomes.iter().all(|(_, outcome)| *outcome == Outcome::Page(6)));
}
