//! A server that ends while it is busy: what it has taken it answers, and what it has not taken was
//! never sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nethttp::error::Sent;
use nethttp::{ErrorKind, Request, ResponseWriter, Result, handle_with};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::site::{Site, in_all_modes, whole};
use crate::support::{millis, secs};

type Count = Arc<AtomicU64>;

/// Takes its time, other for each request, and answers in two pieces.
async fn work(begun: &Count, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    begun.fetch_add(1, Ordering::SeqCst);
    let number: u64 = r.body.text().await?.parse().map_err(nethttp::Error::other)?;
    sleep(millis(number * 37 % 100)).await;
    w.write("one ").await?;
    w.flush().await?;
    sleep(millis(number * 53 % 100)).await;
    w.write("two").await
}

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_in_a_shutdown_under_load() {
    in_all_modes(async |mode| {
        let begun = Count::default();
        let site = Arc::new(Site::start(mode, handle_with(begun.clone(), work)));
        let mut workers = JoinSet::new();
        for worker in 0..40 {
            let site = site.clone();
            workers.spawn(async move {
                let mut answered = 0_u64;
                loop {
                    // POST is not sent again by itself once the server may have seen it.
                    match site.post("/", (worker * 1000 + answered).to_string()).await {
                        Ok(response) => assert_eq!(whole(Ok(response)).await, (200, "one two".into())),
                        Err(error) => {
                            assert_eq!(error.sent(), Some(Sent::No), "{error}");
                            return answered;
                        }
                    }
                    answered += 1;
                }
            });
        }
        sleep(secs(2)).await;
        let report = site.server.shutdown(secs(30)).await;
        let answered: u64 = workers.join_all().await.into_iter().sum();
        assert_eq!(report.cut, 0);
        assert!(answered > 40 * 5, "{answered}");
        assert_eq!(begun.load(Ordering::SeqCst), answered, "what a handler began was answered");
        assert!(site.events().await.is_empty());
        assert_eq!(site.server.connections(), 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn requests_under_way_are_answered_and_not_sent_to_another_server() {
    in_all_modes(async |mode| {
        let handler = async |w: &mut ResponseWriter, r: &mut Request| {
            r.context().draining().await;
            sleep(secs(3)).await;
            w.write("at last").await
        };
        let site = Site::start(mode, handler);
        let (request, client) = (site.request(nethttp::Method::POST, "/", "content"), site.client.clone());
        let answer = tokio::spawn(async move { whole(client.send(request).await).await });
        sleep(secs(1)).await;
        let began = Instant::now();
        let report = site.server.shutdown(secs(30)).await;
        assert_eq!((report.drained, report.cut, began.elapsed().as_secs()), (1, 0, 3));
        assert_eq!(answer.await.unwrap(), (200, "at last".into()));
        let error = site.get("/").await.unwrap_err();
        assert_eq!((error.kind(), error.sent()), (ErrorKind::Io, Some(Sent::No)), "{error}");
        assert_eq!(site.serving.await.unwrap().unwrap_err().kind(), ErrorKind::ServerClosed);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_not_answered_within_the_grace_is_cut() {
    in_all_modes(async |mode| {
        let handler = async |w: &mut ResponseWriter, r: &mut Request| {
            if r.path() == "/begun" {
                w.write("begun").await?;
                w.flush().await?;
            }
            std::future::pending().await
        };
        let site = Arc::new(Site::start(mode, handler));
        let mut response = site.get("/begun").await.unwrap();
        let asking = tokio::spawn({
            let site = site.clone();
            async move { site.post("/", "content").await.map(drop) }
        });
        sleep(secs(1)).await;
        let began = Instant::now();
        let report = site.server.shutdown(secs(5)).await;
        let connections = if mode.is_http2() { 1 } else { 2 };
        assert_eq!((report.drained, report.cut, began.elapsed().as_secs()), (0, connections, 5));
        assert_eq!(response.text().await.unwrap_err().kind(), ErrorKind::CutOff);
        let error = asking.await.unwrap().unwrap_err();
        assert_eq!((error.kind(), error.sent()), (ErrorKind::CutOff, Some(Sent::Fully)), "{error}");
    })
    .await;
}
