//! `call`: a handler as a function from requests to responses.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use nethttp::server::{ResponseEnd, abort, call};
use nethttp::testing::request;
use nethttp::{Body, Error, ErrorKind, Request, ResponseWriter, Result, handle_with};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

/// Says when it is dropped.
struct Guard(Arc<AtomicBool>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn is_set(flag: &AtomicBool) -> bool {
    flag.load(Ordering::SeqCst)
}

#[tokio::test]
async fn the_response_is_there_with_its_head_and_the_rest_comes_while_it_is_read() {
    let go_on = Arc::new(Notify::new());
    let handler = handle_with(go_on.clone(), async |go_on: &Arc<Notify>, w: &mut ResponseWriter, _: &mut Request| {
        w.header().set("X-Kind", "stream");
        w.write("one").await?;
        w.flush().await?;
        go_on.notified().await;
        w.write("two").await?;
        w.trailer().set("X-End", "yes");
        Ok(())
    });
    let mut response = call(handler, request("GET", "/")).await.unwrap();
    assert_eq!((response.status.as_u16(), response.header.get("X-Kind")), (200, Some("stream")));
    assert_eq!((response.content_length, response.body.remaining()), (None, None));
    assert_eq!(response.body.chunk().await.unwrap().unwrap(), "one");
    assert!(timeout(Duration::from_millis(1), response.body.chunk()).await.is_err());
    go_on.notify_one();
    assert_eq!(response.body.chunk().await.unwrap().unwrap(), "two");
    assert_eq!(response.body.chunk().await.unwrap(), None);
    assert_eq!(response.body.trailer().unwrap().get("X-End"), Some("yes"));
}

#[tokio::test]
async fn the_length_of_a_whole_response_is_known() {
    let hello = async |w: &mut ResponseWriter, _: &mut Request| w.write("hello").await;
    let mut response = call(hello, request("GET", "/")).await.unwrap();
    assert_eq!((response.content_length, response.body.remaining()), (Some(5), Some(5)));
    assert_eq!(response.body.text().await.unwrap(), "hello");
    let mut response = call(hello, request("HEAD", "/")).await.unwrap();
    assert_eq!(response.header.get("Content-Length"), Some("5"));
    assert_eq!((response.body.remaining(), response.body.chunk().await.unwrap()), (Some(0), None));
}

#[tokio::test]
async fn a_handler_writes_no_faster_than_its_response_is_read() {
    const PIECE_BYTES: usize = 8 * 1024;
    let written = Arc::new(AtomicUsize::new(0));
    let handler =
        handle_with(written.clone(), async |written: &Arc<AtomicUsize>, w: &mut ResponseWriter, _: &mut Request| {
            for _ in 0..100 {
                w.write(vec![b'x'; PIECE_BYTES]).await?;
                written.fetch_add(PIECE_BYTES, Ordering::SeqCst);
            }
            Ok(())
        });
    let mut response = call(handler, request("GET", "/")).await.unwrap();
    let mut read = 0;
    while let Some(chunk) = response.body.chunk().await.unwrap() {
        read += chunk.len();
        let ahead = written.load(Ordering::SeqCst).saturating_sub(read);
        assert!(ahead <= 32 * 1024, "{ahead} bytes ahead");
    }
    assert_eq!(read, 100 * PIECE_BYTES);
}

#[tokio::test]
async fn who_stops_reading_drops_the_handler_and_cancels_its_context() {
    let dropped = Arc::new(AtomicBool::new(false));
    let elsewhere = Arc::new(Mutex::new(None));
    let handler = handle_with(
        (dropped.clone(), elsewhere.clone()),
        async |(dropped, elsewhere): &(Arc<AtomicBool>, Arc<Mutex<Option<_>>>),
               w: &mut ResponseWriter,
               r: &mut Request| {
            let _guard = Guard(dropped.clone());
            let context = r.context().clone();
            *elsewhere.lock().unwrap() = Some(tokio::spawn(async move { context.cancelled().await }));
            w.write("begun").await?;
            w.flush().await?;
            sleep(Duration::from_secs(3600)).await;
            Ok(())
        },
    );
    let response = call(handler, request("GET", "/")).await.unwrap();
    assert!(!is_set(&dropped));
    drop(response);
    assert!(is_set(&dropped));
    let task = elsewhere.lock().unwrap().take().unwrap();
    task.await.unwrap();
}

#[tokio::test]
async fn who_stops_waiting_for_the_head_drops_the_handler() {
    let dropped = Arc::new(AtomicBool::new(false));
    let handler =
        handle_with(dropped.clone(), async |dropped: &Arc<AtomicBool>, _: &mut ResponseWriter, _: &mut Request| {
            let _guard = Guard(dropped.clone());
            std::future::pending().await
        });
    let mut calling = Box::pin(call(handler, request("GET", "/")));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(calling.as_mut().poll(&mut cx).is_pending() && !is_set(&dropped));
    drop(calling);
    assert!(is_set(&dropped));
}

#[test]
fn without_deadlines_no_runtime_is_needed() {
    let hello = async |w: &mut ResponseWriter, r: &mut Request| {
        let content = r.body.bytes(1 << 20).await?;
        w.write(content).await?;
        w.flush().await?;
        w.write("!").await
    };
    let mut calling = Box::pin(call(hello, request("POST", "/").with_body("hello")));
    let mut cx = Context::from_waker(Waker::noop());
    let Poll::Ready(Ok(mut response)) = calling.as_mut().poll(&mut cx) else { panic!("nothing to wait for") };
    let mut reading = Box::pin(response.body.text());
    let Poll::Ready(Ok(text)) = reading.as_mut().poll(&mut cx) else { panic!("nothing to wait for") };
    assert_eq!(text, "hello!");
}

#[tokio::test]
async fn what_breaks_off_is_an_error_of_the_body_and_nothing_at_all_one_of_the_call() {
    let fails = async |w: &mut ResponseWriter, _: &mut Request| {
        w.write("begun").await?;
        w.flush().await?;
        Err(Error::other("gone"))
    };
    let mut response = call(fails, request("GET", "/")).await.unwrap();
    assert_eq!(response.body.chunk().await.unwrap().unwrap(), "begun");
    for _ in 0..2 {
        assert_eq!(response.body.chunk().await.unwrap_err().kind(), ErrorKind::CutOff);
    }
    let panics = async |w: &mut ResponseWriter, _: &mut Request| {
        w.write("begun").await?;
        w.flush().await?;
        panic!("behind the head")
    };
    let mut response = call(panics, request("GET", "/")).await.unwrap();
    assert_eq!(response.body.chunk().await.unwrap().unwrap(), "begun");
    assert_eq!(response.body.chunk().await.unwrap_err().kind(), ErrorKind::CutOff);
    async fn aborts(_: &mut ResponseWriter, _: &mut Request) -> Result<()> {
        abort()
    }
    assert_eq!(call(aborts, request("GET", "/")).await.unwrap_err().kind(), ErrorKind::CutOff);
}

#[tokio::test]
async fn a_body_that_was_kept_reads_as_an_error_after_the_call() {
    let kept = Arc::new(Mutex::new(None));
    let handler =
        handle_with(kept.clone(), async |kept: &Arc<Mutex<Option<Body>>>, _: &mut ResponseWriter, r: &mut Request| {
            *kept.lock().unwrap() = Some(std::mem::take(&mut r.body));
            Ok(())
        });
    let streamed = Body::from_fn(|| Ok(Body::from_stream(Once(Some("content"))))).unwrap();
    let response = call(handler, request("POST", "/").with_body(streamed)).await.unwrap();
    drop(response);
    let mut body = kept.lock().unwrap().take().unwrap();
    assert_eq!(body.chunk().await.unwrap_err().kind(), ErrorKind::RequestOver);
}

/// A stream of one piece.
struct Once(Option<&'static str>);

impl futures_core::Stream for Once {
    type Item = Result<&'static str>;

    fn poll_next(mut self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.take().map(Ok))
    }
}

/// What the record of a call says of its end, how often it came, and the status.
type Ends = Arc<Mutex<Vec<(ResponseEnd, Option<u16>)>>>;

/// Writes what the target asks for, and waits for ever behind it.
async fn recorded(ends: &Ends, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let ends = ends.clone();
    w.on_end(move |record| ends.lock().unwrap().push((record.end, record.status.map(|status| status.as_u16()))));
    match &*r.path() {
        "/waits" => {}
        "/begun" => {
            w.write("begun").await?;
            w.flush().await?;
        }
        "/declared" => {
            w.header().set("Content-Length", "5");
            w.write("whole").await?;
            w.flush().await?;
        }
        _ => return w.write("done").await,
    }
    std::future::pending().await
}

#[tokio::test]
async fn a_call_is_recorded_once_also_where_its_reader_leaves_half_way() {
    let ends = Ends::default();
    let ask = |target: &str| call(handle_with(ends.clone(), recorded), request("GET", target));
    let taken = || std::mem::take(&mut *ends.lock().unwrap());

    let mut waits = std::pin::pin!(ask("/waits"));
    assert!(timeout(Duration::from_millis(1), waits.as_mut()).await.is_err());
    waits.set(ask("/never-polled"));
    assert_eq!(taken(), [(ResponseEnd::ClientLeft, None)]);

    let mut response = ask("/begun").await.unwrap();
    assert_eq!(response.body.chunk().await.unwrap().unwrap(), "begun");
    assert_eq!(taken(), []);
    drop(response);
    assert_eq!(taken(), [(ResponseEnd::ClientLeft, Some(200))]);

    // One that knows the length may leave with the last byte.
    let mut response = ask("/declared").await.unwrap();
    assert_eq!(response.body.chunk().await.unwrap().unwrap(), "whole");
    drop(response);
    assert_eq!(taken(), [(ResponseEnd::Complete, Some(200))]);
    drop(ask("/declared").await.unwrap());
    assert_eq!(taken(), [(ResponseEnd::ClientLeft, Some(200))]);

    let mut response = ask("/done").await.unwrap();
    assert_eq!(response.body.text().await.unwrap(), "done");
    drop(response);
    assert_eq!(taken(), [(ResponseEnd::Complete, Some(200))]);
}
