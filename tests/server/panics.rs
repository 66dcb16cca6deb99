//! Panics in handlers: each ends its own request and connection, is reported once, and touches
//! nobody else.

use std::future::Future;
use std::panic::panic_any;
use std::time::Duration;

use nethttp::server::abort;
use nethttp::{Handler, Request, ResponseWriter, Result};
use tokio::io::AsyncWriteExt;
use tokio::time::sleep;

use crate::wire::{GET, Host, closed, kept, post};

const FAILED: &str = "HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/plain; charset=utf-8\r\n\
                      X-Content-Type-Options: nosniff\r\nContent-Length: 26\r\nDate: -\r\nConnection: close\r\n\r\n\
                      500 Internal Server Error\n";

/// The response of a handler on a server of its own, and what that server reports.
async fn heard_and_told(handler: impl Handler) -> (crate::wire::Heard, Vec<String>) {
    let host = Host::new(handler);
    let heard = host.connect().talk(GET).await;
    (heard, host.events())
}

#[tokio::test(start_paused = true)]
async fn a_panic_before_anything_was_sent_answers_500_and_closes() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        w.header().set("ETag", "\"half\"");
        w.header().set("Content-Length", "9");
        w.write("half").await?;
        panic!("the reason")
    };
    let (heard, told) = heard_and_told(handler).await;
    assert_eq!(heard, closed(FAILED), "nothing of the answer under way, nothing of the reason");
    assert_eq!(told, ["a handler panicked on GET / from peer: the reason"]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_behind_a_flush_cuts_the_answer_visibly() {
    let chunked = async |w: &mut ResponseWriter, _: &mut Request| {
        w.write("half").await?;
        w.flush().await?;
        w.write(" of it").await?;
        panic!("late")
    };
    let (heard, told) = heard_and_told(chunked).await;
    assert!(heard.closed && heard.text.contains("\r\n\r\n4\r\nhalf\r\n"), "{heard:?}");
    assert!(!heard.text.contains("0\r\n\r\n") && !heard.text.contains("500"), "{heard:?}");
    assert_eq!(told, ["a handler panicked on GET / from peer: late"]);
    let declared = async |w: &mut ResponseWriter, _: &mut Request| {
        w.header().set("Content-Length", "10");
        w.write("half").await?;
        w.flush().await?;
        panic!("late")
    };
    let (heard, _) = heard_and_told(declared).await;
    assert!(heard.closed && heard.text.ends_with("\r\n\r\nhalf"), "{heard:?}");
}

#[tokio::test(start_paused = true)]
async fn an_abort_cuts_silently() {
    let at_once = async |w: &mut ResponseWriter, r: &mut Request| {
        if r.path() == "/fine" {
            return Ok(());
        }
        w.write("never sent").await?;
        abort()
    };
    let (heard, told) = heard_and_told(at_once).await;
    assert_eq!((heard, told), (closed(""), vec![]));
    let flushed = async |w: &mut ResponseWriter, _: &mut Request| {
        w.write("half").await?;
        w.flush().await?;
        abort()
    };
    let (heard, told) = heard_and_told(flushed).await;
    assert!(heard.closed && heard.text.ends_with("\r\n\r\n4\r\nhalf\r\n"), "{heard:?}");
    assert!(told.is_empty());

    let host = Host::new(at_once);
    let heard = host.connect().talk(format!("GET /fine HTTP/1.1\r\nHost: a\r\n\r\n{GET}")).await;
    assert_eq!(heard, closed("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nDate: -\r\n\r\n"), "earlier answers are sent");
}

/// Panics before it returns its future.
fn without_a_future<'a>(_: &'a mut ResponseWriter, r: &'a mut Request) -> impl Future<Output = Result<()>> + Send + 'a {
    assert_ne!(r.path(), "/", "no future");
    async { Ok(()) }
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_a_handler_that_has_no_future_yet_is_one_like_others() {
    let host = Host::new(without_a_future);
    assert_eq!(host.connect().talk(GET).await, closed(FAILED));
    assert!(host.events()[0].contains("no future"), "{:?}", host.events());
    assert!(!host.connect().talk("GET /fine HTTP/1.1\r\nHost: a\r\n\r\n").await.closed);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_hook_is_one_like_others_wherever_the_hook_runs() {
    let when_the_handler_writes = async |w: &mut ResponseWriter, _: &mut Request| {
        w.before_head(|_, _| panic!("hooked"));
        w.flush().await
    };
    let when_the_handler_is_done = async |w: &mut ResponseWriter, _: &mut Request| {
        w.before_head(|_, _| panic!("hooked"));
        Ok(())
    };
    let when_an_error_is_answered = async |w: &mut ResponseWriter, _: &mut Request| {
        w.before_head(|_, _| panic!("hooked"));
        w.before_head(|_, _| panic!("hooked"));
        Err(nethttp::Error::other("failed"))
    };
    for (heard, told) in [
        heard_and_told(when_the_handler_writes).await,
        heard_and_told(when_the_handler_is_done).await,
        heard_and_told(when_an_error_is_answered).await,
    ] {
        assert_eq!(heard, closed(FAILED));
        assert_eq!(told.last().unwrap(), "a handler panicked on GET / from peer: hooked");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_panic_says_is_reported_when_it_is_text() {
    let handler = async |_: &mut ResponseWriter, r: &mut Request| -> Result<()> {
        match r.escaped_path() {
            "/text" => panic!("plain"),
            "/formatted" => panic!("number {}", r.path().len()),
            "/slice" => _ = [0; 3][r.path().len()],
            _ => panic_any(7_u8),
        }
        Ok(())
    };
    for (target, said) in [
        ("/text", "plain"),
        ("/formatted", "number 10"),
        ("/slice", "index out of bounds: the len is 3 but the index is 6"),
        ("/value", "a value that is no text"),
    ] {
        let host = Host::new(handler);
        assert_eq!(host.connect().talk(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).await, closed(FAILED));
        assert_eq!(host.events(), [format!("a handler panicked on GET {target} from peer: {said}")]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_answer_to_head_has_no_content() {
    let host = Host::new(async |_: &mut ResponseWriter, _: &mut Request| panic!("on HEAD"));
    let heard = host.connect().talk(GET.replace("GET", "HEAD")).await;
    assert_eq!(heard, closed(FAILED.strip_suffix("500 Internal Server Error\n").unwrap()));
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_a_panic_reaches_a_peer_that_is_still_sending() {
    let host = Host::new(async |_: &mut ResponseWriter, _: &mut Request| panic!("unread"));
    let mut peer = host.connect_through(4096);
    peer.stream.write_all(&post("/", &vec![b'x'; 1 << 20])).await.expect("the server reads on for a while");
    assert_eq!(peer.hear().await, closed(FAILED));
}

#[tokio::test(start_paused = true)]
async fn a_panic_touches_no_other_connection_and_no_later_one() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        assert_ne!(r.path(), "/panic");
        sleep(Duration::from_secs(1)).await;
        w.write(r.request_uri.clone()).await
    };
    let host = Host::new(handler);
    let mut running = host.connect();
    let mut idle = host.connect();
    idle.send(GET).await;
    sleep(Duration::from_secs(1)).await;
    assert!(idle.hear().await.text.ends_with("\r\n\r\n/"));
    running.send(GET).await;
    assert_eq!(host.connect().talk("GET /panic HTTP/1.1\r\nHost: a\r\n\r\n").await, closed(FAILED));
    let mut later = host.connect();
    for peer in [&mut idle, &mut later] {
        peer.send(GET).await;
        sleep(Duration::from_secs(1)).await;
        let heard = peer.hear().await;
        assert!(!heard.closed && heard.text.ends_with("\r\n\r\n/"), "{heard:?}");
    }
    let heard = running.hear().await;
    assert!(!heard.closed && heard.text.ends_with("\r\n\r\n/"), "{heard:?}");
    assert_eq!(host.events().len(), 1);
    assert_eq!(
        host.states().iter().filter(|state| state.starts_with("closed")).collect::<Vec<_>>(),
        ["closed (the handler panicked)"]
    );
}

#[tokio::test(start_paused = true)]
async fn requests_behind_a_panic_are_not_served_and_answers_before_it_are_sent() {
    let handler = async |_: &mut ResponseWriter, r: &mut Request| {
        assert_ne!(r.path(), "/panic");
        Ok(())
    };
    let host = Host::new(handler);
    let heard = host.connect().talk(format!("{GET}GET /panic HTTP/1.1\r\nHost: a\r\n\r\n{GET}")).await;
    assert_eq!(heard, closed(format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nDate: -\r\n\r\n{FAILED}")));
}

#[tokio::test(start_paused = true)]
async fn a_panic_behind_a_takeover_is_reported_and_leaves_the_connection_alone() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        let mut raw = w.hijack().await?;
        tokio::spawn(async move {
            sleep(Duration::from_secs(1)).await;
            raw.write_all(b"alive").await.expect("nobody closed it");
            sleep(Duration::from_secs(1)).await;
        });
        panic!("too late to matter")
    };
    let host = Host::new(handler);
    let mut peer = host.connect();
    assert_eq!(peer.talk(GET).await, kept(""));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(peer.hear().await, kept("alive"));
    assert_eq!(host.events(), ["a handler panicked on GET / from peer: too late to matter"]);
    assert_eq!(host.states(), ["new", "active", "hijacked"]);
}
