//! Clients that leave, and handlers that hear of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nethttp::error::{Phase, Sent};
use nethttp::{Context, ErrorKind, Handler, Next, Request, ResponseWriter, Result, handle_with};

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

#[tokio::test(start_paused = true)]
async fn a_deadline_of_ones_own_ends_a_call_wherever_it_is() {
    in_all_modes(async |mode| {
        let left = Count::default();
        let site = Site::start(mode, handle_with(left.clone(), wait));
        let context = Context::background().with_timeout(secs(2));
        let under = |path| Request::get(site.url(path)).unwrap().with_context(context.clone());
        let began = tokio::time::Instant::now();
        let mut begun = site.client.send(under("/begun")).await.unwrap();
        assert_eq!(begun.body.chunk().await.unwrap().unwrap(), "begun");
        let (head, content) = tokio::join!(site.client.send(under("/wait")), begun.body.chunk());
        for (error, phase) in [(head.unwrap_err(), Phase::Head), (content.unwrap_err(), Phase::Body)] {
            assert_eq!((error.kind(), error.phase()), (ErrorKind::TimedOut, Some(phase)));
            assert!(error.to_string().contains("the deadline of the context has passed"), "{error}");
        }
        assert_eq!(began.elapsed().as_secs(), 2);
        let error = site.client.send(under("/ok")).await.unwrap_err();
        assert_eq!((error.kind(), error.sent()), (ErrorKind::TimedOut, Some(Sent::No)));
        while left.load(Ordering::SeqCst) < 2 {
            tokio::time::sleep(millis(10)).await;
        }
        site.assert_lives("/ok").await;
    })
    .await;
}

struct Tenant(&'static str);

/// Puts the request under a context of its own, with a value and a second of time.
async fn narrow(w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
    let context = r.context().with_value(Tenant("a")).with_timeout(secs(1));
    r.set_context(context);
    next.run(w, r).await
}

#[tokio::test(start_paused = true)]
async fn a_middleware_gives_the_handler_a_value_and_a_deadline_and_the_next_request_has_neither() {
    in_all_modes(async |mode| {
        let handler = async |w: &mut ResponseWriter, r: &mut Request| {
            let tenant = r.context().value::<Tenant>().map_or("none", |tenant| tenant.0);
            if r.context().deadline().is_none() {
                return w.write(format!("{tenant}, no deadline")).await;
            }
            r.context().cancelled().await;
            w.write(format!("{tenant}, {}", r.context().error().unwrap())).await
        };
        let mux = nethttp::ServeMux::new();
        mux.handle("/narrow", handler.wrapped_in(narrow));
        mux.handle("/", handler);
        let site = Site::start(mode, mux);
        for _ in 0..2 {
            let expected = "a, the deadline of the context has passed".to_owned();
            assert_eq!(site.ask("/narrow").await, (200, expected));
            assert_eq!(site.ask("/").await, (200, "none, no deadline".into()));
        }
    })
    .await;
}

/// What a handler under a time limit has made of its context.
#[derive(Clone)]
struct Handed(Context);

async fn hand_out(_: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let context = r.context().with_value(Tenant("a"));
    r.extensions.insert(Handed(context.clone()));
    r.set_context(context);
    std::future::pending().await
}

async fn look_afterwards(w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
    let result = next.run(w, r).await;
    let Handed(inner) = r.extensions.get().expect("the handler has begun");
    assert!(inner.is_cancelled() && !r.context().is_cancelled());
    assert!(r.context().value::<Tenant>().is_none(), "it is the outer one again");
    result
}

#[tokio::test(start_paused = true)]
async fn a_time_limit_ends_what_was_made_of_its_context_and_nothing_around_it() {
    in_all_modes(async |mode| {
        let limit = nethttp::middleware::Timeout::new(secs(1));
        let site = Site::start(mode, hand_out.wrapped_in(limit).wrapped_in(look_afterwards));
        assert_eq!(site.ask("/").await.0, 503);
    })
    .await;
}
