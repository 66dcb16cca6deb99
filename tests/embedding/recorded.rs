//! What `testing::record` keeps of an answer.

use std::time::Duration;

use nethttp::server::abort;
use nethttp::testing::{RecordedResponse, record, request};
use nethttp::{Body, Bytes, Error, ErrorKind, Handler, Request, ResponseWriter, Result, ServeMux, StatusCode};
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep};

async fn get(handler: impl Handler) -> RecordedResponse {
    record(&handler, request("GET", "/")).await
}

async fn answer(method: &str, handler: impl Handler) -> (u16, Option<String>, String) {
    let recorded = record(&handler, request(method, "/")).await;
    assert!(recorded.complete && recorded.error.is_none(), "{recorded:?}");
    let length = recorded.header.get("Content-Length").map(str::to_owned);
    (recorded.status.as_u16(), length, recorded.text().to_owned())
}

async fn hello(w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    w.write("hello").await
}

#[tokio::test]
async fn a_short_answer_has_its_length_and_its_type_and_no_date() {
    let recorded = get(hello).await;
    assert_eq!((recorded.status, recorded.text()), (StatusCode::OK, "hello"));
    let fields: Vec<_> = recorded.header.iter().map(|(name, value)| (name, value.to_vec())).collect();
    let expected = [("Content-Type", b"text/plain; charset=utf-8".to_vec()), ("Content-Length", b"5".to_vec())];
    assert_eq!(fields, expected);
    assert!(recorded.complete && !recorded.flushed && recorded.trailer.is_empty());
}

#[tokio::test]
async fn head_and_the_statuses_without_content_have_none() {
    assert_eq!(answer("GET", hello).await, (200, Some("5".into()), "hello".into()));
    assert_eq!(answer("HEAD", hello).await, (200, Some("5".into()), String::new()));
    let nothing = |status: u16| {
        nethttp::handle_with(status, async |status: &u16, w: &mut ResponseWriter, _: &mut Request| {
            w.header().set("Content-Type", "text/plain");
            w.write_header(StatusCode::from_u16(*status).unwrap());
            assert_eq!(w.write("x").await.unwrap_err().kind(), ErrorKind::BodyNotAllowed);
            Ok(())
        })
    };
    assert_eq!(answer("GET", nothing(204)).await, (204, None, String::new()));
    assert_eq!(answer("GET", nothing(205)).await, (205, Some("0".into()), String::new()));
    assert_eq!(answer("GET", nothing(304)).await, (304, None, String::new()));
    assert!(!get(nothing(304)).await.header.contains("Content-Type"));
    assert!(get(nothing(204)).await.header.contains("Content-Type"));
}

#[tokio::test]
async fn a_long_answer_comes_whole_however_it_is_written() {
    const PIECES: usize = 40;
    let large = "x".repeat(5_000);
    let expected = large.repeat(PIECES);
    let copied = async |w: &mut ResponseWriter, _: &mut Request| {
        for _ in 0..PIECES {
            w.write("x".repeat(5_000)).await?;
        }
        Ok(())
    };
    let shared = async |w: &mut ResponseWriter, _: &mut Request| {
        for _ in 0..PIECES {
            w.write_bytes(Bytes::from("x".repeat(5_000))).await?;
        }
        Ok(())
    };
    let small = async |w: &mut ResponseWriter, _: &mut Request| {
        for _ in 0..PIECES * 5 {
            w.write("x".repeat(1_000)).await?;
        }
        Ok(())
    };
    let declared = async |w: &mut ResponseWriter, _: &mut Request| {
        w.header().set("Content-Length", (PIECES * 5_000).to_string());
        let content = "x".repeat(PIECES * 5_000);
        w.write_all(content.as_bytes()).await?;
        Ok(())
    };
    for (recorded, length) in [
        (get(copied).await, None),
        (get(shared).await, None),
        (get(small).await, None),
        (get(declared).await, Some("200000")),
    ] {
        assert!(recorded.complete && !recorded.flushed, "{:?}", recorded.error);
        assert_eq!(recorded.header.get("Content-Length"), length);
        assert_eq!(recorded.text(), expected);
    }
}

#[tokio::test]
async fn a_flush_a_trailer_and_informational_answers_are_kept() {
    let recorded = get(async |w: &mut ResponseWriter, _: &mut Request| {
        w.header().set("Link", "</a.css>; rel=preload");
        w.send_informational(StatusCode::EARLY_HINTS).await?;
        w.header().del("Link");
        w.send_informational(StatusCode::PROCESSING).await?;
        w.trailer().set("Checksum", "");
        w.write("one, ").await?;
        w.flush().await?;
        w.write("two").await?;
        w.trailer().set("Checksum", "31");
        Ok(())
    })
    .await;
    let informational: Vec<_> =
        recorded.informational.iter().map(|(status, header)| (status.as_u16(), header.get("Link"))).collect();
    assert_eq!(informational, [(103, Some("</a.css>; rel=preload")), (102, None)]);
    assert_eq!((recorded.text(), recorded.flushed), ("one, two", true));
    assert_eq!((recorded.header.get("Trailer"), recorded.trailer.get("Checksum")), (Some("Checksum"), Some("31")));
    assert_eq!(recorded.header.get("Content-Length"), None);
}

#[tokio::test]
async fn an_error_is_answered_as_over_a_connection_and_is_kept() {
    let conflict = async |w: &mut ResponseWriter, _: &mut Request| {
        w.write("half of it").await?;
        Err(Error::answer(StatusCode::CONFLICT, "that name is taken"))
    };
    let recorded = get(conflict).await;
    assert_eq!(recorded.status, StatusCode::CONFLICT);
    assert!(recorded.text().contains("that name is taken") && !recorded.text().contains("half"));
    assert!(recorded.complete);
    assert_eq!(recorded.error.unwrap().kind(), ErrorKind::Answer);

    let panics = async |_: &mut ResponseWriter, r: &mut Request| {
        assert_eq!(r.path(), "/other", "what the test says");
        Ok(())
    };
    let recorded = get(panics).await;
    assert_eq!((recorded.status, recorded.complete), (StatusCode::INTERNAL_SERVER_ERROR, true));
    assert!(!recorded.text().contains("what the test says") && !recorded.header.contains("Connection"));
    assert!(recorded.error.unwrap().to_string().contains("what the test says"));
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_not_complete() {
    let fails = async |w: &mut ResponseWriter, _: &mut Request| {
        w.write("begun").await?;
        w.flush().await?;
        Err(Error::other("the disk is gone"))
    };
    let recorded = get(fails).await;
    assert_eq!((recorded.status, recorded.text(), recorded.complete), (StatusCode::OK, "begun", false));
    assert_eq!(recorded.error.unwrap().to_string(), "the disk is gone");

    let short = async |w: &mut ResponseWriter, _: &mut Request| {
        w.header().set("Content-Length", "10");
        w.write("12345").await
    };
    let recorded = get(short).await;
    assert_eq!((recorded.text(), recorded.complete, recorded.error.is_none()), ("12345", false, true));
}

#[tokio::test]
#[should_panic(expected = "ended without a response")]
async fn an_abort_without_an_answer_fails_the_test() {
    async fn aborts(_: &mut ResponseWriter, _: &mut Request) -> Result<()> {
        abort()
    }
    get(aborts).await;
}

#[tokio::test]
async fn a_connection_cannot_be_taken_over_and_the_error_says_so() {
    let recorded = get(async |w: &mut ResponseWriter, _: &mut Request| {
        assert!(w.hijack().await.unwrap_err().to_string().contains("no connection"));
        w.header().set("Upgrade", "websocket");
        w.upgrade().await.map(drop)
    })
    .await;
    assert_eq!(recorded.status, StatusCode::BAD_REQUEST);
    assert_eq!(recorded.error.unwrap().kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn a_mux_sees_the_request_as_it_would_behind_a_server() {
    let mux = ServeMux::new();
    mux.handle("POST a.test/things/{id}", async |w: &mut ResponseWriter, r: &mut Request| {
        let content = r.body.text().await?;
        let told = format!("{} {} {} {} {content}", r.path_value("id"), r.host, r.uri, r.request_uri);
        w.write(told).await
    });
    let post = |target| request("POST", target).with_body("content");
    let recorded = record(&mux, post("http://a.test/things/a%2Fb?q")).await;
    assert_eq!(recorded.text(), "a/b a.test /things/a%2Fb?q /things/a%2Fb?q content");
    assert_eq!(record(&mux, post("/things/1")).await.status, StatusCode::NOT_FOUND);
    let from_http = http::Request::post("/things/2").header("Host", "a.test").body("content").unwrap();
    assert_eq!(record(&mux, from_http).await.text(), "2 a.test /things/2 /things/2 content");
    let made = request("GET", "/");
    assert_eq!((made.host.as_str(), made.remote_addr.to_string()), ("example.com", "192.0.2.1:1234".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn deadlines_of_a_handlers_own_count() {
    let began = Instant::now();
    let endless = Body::from_stream(Endless);
    let recorded = record(
        &async |w: &mut ResponseWriter, r: &mut Request| {
            w.set_read_deadline(Some(Instant::now() + Duration::from_secs(2)));
            r.body.bytes(10).await.map(drop)
        },
        request("POST", "/").with_body(endless),
    )
    .await;
    assert_eq!((recorded.status, began.elapsed()), (StatusCode::REQUEST_TIMEOUT, Duration::from_secs(2)));

    let recorded = get(async |w: &mut ResponseWriter, _: &mut Request| {
        w.write("begun").await?;
        w.flush().await?;
        w.set_write_deadline(Some(Instant::now() + Duration::from_secs(3)));
        sleep(Duration::from_secs(60)).await;
        w.write("never").await
    })
    .await;
    assert_eq!((recorded.text(), recorded.complete), ("begun", false));
    assert_eq!(began.elapsed(), Duration::from_secs(5));
}

/// A stream that never has anything.
struct Endless;

impl futures_core::Stream for Endless {
    type Item = Result<Bytes>;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Bytes>>> {
        std::task::Poll::Pending
    }
}
