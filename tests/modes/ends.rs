//! Clients that leave, and handlers that hear of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nethttp::error::{Phase, Sent};
use nethttp::{Context, ErrorKind, Request, ResponseWriter, Result, handle_with};

use crate::fake::fed;
use crate::site::{Site, in_all_modes};
use crate::support::{millis, secs, settle};

type Count = Arc<AtomicUsize>;

/// Answers a little, waits for the client to leave, and counts it.
async fn wait(left: &Count, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    match r.escaped_path() {
        "/ok" => return w.write("ok").await,
        "/begun" => {
            w.write("begun").await?;
            w.flush().await?;
        }
        _ => {}
    }
    r.context().cancelled().await;
    left.fetch_add(1, Ordering::SeqCst);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_client_that_gives_its_request_up_cancels_it_and_may_ask_again() {
    in_all_modes(async |mode| {
        let left = Count::default();
        let site = Site::start(mode, handle_with(left.clone(), wait));
        for number in 0..3 {
            let given_up = tokio::time::timeout(secs(1), site.get("/wait")).await;
            assert!(given_up.is_err());
            settle().await;
            assert_eq!(left.load(Ordering::SeqCst), number + 1);
            site.assert_lives("/ok").await;
        }
        assert_eq!(site.server.connections(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_drops_the_content_cancels_the_request() {
    in_all_modes(async |mode| {
        let left = Count::default();
        let site = Site::start(mode, handle_with(left.clone(), wait));
        let mut response = site.get("/begun").await.unwrap();
        assert_eq!(response.body.chunk().await.unwrap().unwrap(), "begun");
        settle().await;
        assert_eq!(left.load(Ordering::SeqCst), 0);
        drop(response);
        // What is left of content may still be read for a moment, to keep the connection.
        tokio::time::sleep(millis(100)).await;
        assert_eq!(left.load(Ordering::SeqCst), 1);
        site.assert_lives("/ok").await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_within_its_content_cuts_it_off() {
    in_all_modes(async |mode| {
        let (told, mut seen) = tokio::sync::mpsc::unbounded_channel();
        let read = async |told: &Told, _: &mut ResponseWriter, r: &mut Request| {
            let error = r.body.bytes(1000).await.unwrap_err();
            told.send((error.kind(), error.phase())).unwrap();
            Err(error)
        };
        let site = Site::start(mode, handle_with(told, read));
        let (feed, body) = fed();
        feed.send(Ok("a part".into())).unwrap();
        assert!(tokio::time::timeout(secs(1), site.post("/", body)).await.is_err());
        assert_eq!(seen.recv().await.unwrap(), (ErrorKind::CutOff, Some(Phase::Body)));
    })
    .await;
}

type Told = tokio::sync::mpsc::UnboundedSender<(ErrorKind, Option<Phase>)>;

#[tokio::test(start_paused = true)]
async fn a_client_that_ends_as_a_whole_leaves_no_connection_behind() {
    in_all_modes(async |mode| {
        let left = Count::default();
        let mut site = Site::start(mode, handle_with(left, wait));
        site.assert_lives("/ok").await;
        assert_eq!(site.server.connections(), 1);
        let (transport, client) = (site.transport.clone(), site.client.clone());
        site.client = site.another_client();
        site.transport = Arc::new(nethttp::Transport::new());
        drop((transport, client));
        settle().await;
        assert_eq!(site.server.connections(), 0);
        assert_eq!(site.states.reason(1), Some(nethttp::server::CloseReason::PeerGone));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_whose_client_left_cannot_write_any_more() {
    in_all_modes(async |mode| {
        let (told, mut seen) = tokio::sync::mpsc::unbounded_channel();
        let pour = async |told: &Told, w: &mut ResponseWriter, r: &mut Request| {
            r.context().cancelled().await;
            loop {
                if let Err(error) = w.write(vec![b'x'; 100_000]).await {
                    told.send((error.kind(), error.phase())).unwrap();
                    return Err(error);
                }
            }
        };
        let site = Site::start(mode, handle_with(told, pour));
        assert!(tokio::time::timeout(secs(1), site.get("/")).await.is_err());
        let (kind, phase) = seen.recv().await.unwrap();
        assert!(matches!(kind, ErrorKind::CutOff | ErrorKind::Io), "{kind:?}");
        assert_eq!(phase, Some(Phase::Write));
    })
    .await;
}

/// What a server that asks another one has met.
type Met = (ErrorKind, Option<Phase>, Option<Sent>);

/// Asks the site behind, as far as the path says, and tells what it met.
async fn relay(
    (client, url, met): &(nethttp::Client, String, tokio::sync::mpsc::UnboundedSender<Met>),
    _: &mut ResponseWriter,
    r: &mut Request,
) -> Result<()> {
    if r.path() == "/late" {
        r.context().cancelled().await;
    }
    let request = Request::get(format!("{url}{}", r.path()))?.with_context(r.context().clone());
    let outcome = async { client.send(request).await?.text().await }.await;
    let error = outcome.unwrap_err();
    met.send((error.kind(), error.phase(), error.sent())).unwrap();
    Err(error)
}

#[tokio::test(start_paused = true)]
async fn what_a_handler_asks_of_another_server_ends_with_its_own_request() {
    in_all_modes(async |mode| {
        let left = Count::default();
        let behind = Site::start(mode, handle_with(left.clone(), wait));
        let (told, mut met) = tokio::sync::mpsc::unbounded_channel();
        let front = Site::start(mode, handle_with((behind.client.clone(), behind.url(""), told), relay));
        for (path, count, expected) in [
            // Its head is waited for, its content is, and it was never sent.
            ("/wait", 1, (Some(Phase::Head), Some(Sent::Fully))),
            ("/begun", 1, (Some(Phase::Body), None)),
            ("/late", 0, (Some(Phase::Pool), Some(Sent::No))),
        ] {
            left.store(0, Ordering::SeqCst);
            assert!(tokio::time::timeout(secs(1), front.get(path)).await.is_err());
            let (kind, phase, sent) = met.recv().await.unwrap();
            assert_eq!((kind, (phase, sent)), (ErrorKind::Cancelled, expected), "{path}");
            // What is left of content may still be read for a moment.
            tokio::time::sleep(millis(100)).await;
            assert_eq!(left.load(Ordering::SeqCst), count, "{path}");
        }
        behind.assert_lives("/ok").await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_guard_ends_a_call_and_those_beside_it_go_on() {
    in_all_modes(async |mode| {
        let left = Count::default();
        let site = Site::start(mode, handle_with(left.clone(), wait));
        let (context, guard) = Context::background().with_cancel();
        let request = Request::get(site.url("/wait")).unwrap().with_context(context);
        let cancel = async {
            site.assert_lives("/ok").await;
            guard.cancel();
        };
        let (outcome, ()) = tokio::join!(site.client.send(request), cancel);
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Cancelled);
        // The server learns of it by a reset or a close.
        while left.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(millis(10)).await;
        }
        site.assert_lives("/ok").await;
    })
    .await;
}
