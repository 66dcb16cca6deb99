//! What a client gets where something fails: errors as responses, and the hook that sees them all.

use std::sync::{Arc, Mutex};

use nethttp::middleware::timeout_handler;
use nethttp::server::{ErrorInfo, problem_details};
use nethttp::{
    Body, Bytes, Error, IntoResponse, Method, Request, Response, ResponseWriter, Result, ServeMux, StatusCode, error,
    respond,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::fake::fed;
use crate::site::{Mode, Site, in_all_modes, whole};
use crate::support::secs;

/// An application's own error.
enum StockError {
    NoSuchItem,
    SoldOut,
    Fine,
}

impl IntoResponse for StockError {
    fn into_response(self) -> Response {
        match self {
            StockError::NoSuchItem => (StatusCode::NOT_FOUND, "no such item").into_response(),
            StockError::SoldOut => Response::new("{\"sold\":\"out\"}")
                .with_status(StatusCode::CONFLICT)
                .with_header("Content-Type", "application/json")
                .with_header("X-Around", "replaced"),
            StockError::Fine => "the password is swordfish".into_response(),
        }
    }
}

fn buy(item: &str) -> Result<u32, StockError> {
    match item {
        "tea" => Err(StockError::SoldOut),
        "fine" => Err(StockError::Fine),
        _ => Err(StockError::NoSuchItem),
    }
}

fn shop() -> ServeMux {
    let mux = ServeMux::new();
    mux.handle(
        "GET /buy/{item}",
        respond(async |r: &mut Request| -> Result<String> { Ok(buy(r.path_value("item"))?.to_string()) }),
    );
    mux.handle(
        "GET /own/{item}",
        respond(async |r: &mut Request| -> Result<String, StockError> { Ok(buy(r.path_value("item"))?.to_string()) }),
    );
    mux.handle("GET /write/{item}", async |w: &mut ResponseWriter, r: &mut Request| {
        w.header().set("X-Around", "1");
        w.header().set("ETag", "\"1\"");
        w.write("left behind").await?;
        let left = buy(r.path_value("item"))?;
        w.write(left.to_string()).await
    });
    mux.handle(
        "GET /away",
        respond(async |_: &mut Request| -> Result<String> {
            let away = Response::new("").with_status(StatusCode::SEE_OTHER).with_header("Location", "/login");
            Err(Error::from_response(away))
        }),
    );
    mux
}

#[tokio::test(start_paused = true)]
async fn an_error_may_be_a_response_of_the_applications_own() {
    in_all_modes(async |mode| {
        let site = Site::start(mode, shop());
        for form in ["buy", "own", "write"] {
            assert_eq!(site.ask(&format!("/{form}/milk")).await, (404, "no such item".into()), "{form}");
            let mut response = site.get(&format!("/{form}/tea")).await.unwrap();
            assert_eq!(
                (response.status.as_u16(), response.header.get("Content-Type")),
                (409, Some("application/json"))
            );
            assert_eq!(response.header.values("X-Around").collect::<Vec<_>>(), ["replaced"]);
            assert!(!response.header.contains("ETag"));
            assert_eq!(response.text().await.unwrap(), "{\"sold\":\"out\"}");
            // One that says that all is well is none, and not shown.
            assert_eq!(site.ask(&format!("/{form}/fine")).await, (500, "500 Internal Server Error\n".into()), "{form}");
        }
        let mut client = site.another_client();
        client.max_redirects = 0;
        let away = client.get(&*site.url("/away")).await;
        let events = site.events().await;
        assert_eq!(events.len(), 9 + usize::from(away.is_ok() || away.is_err()), "{events:?}");
        assert!(events[1].ends_with("the response is 409 Conflict; answered 409"), "{}", events[1]);
        assert!(events[2].contains("the password is swordfish; answered 500"), "{}", events[2]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_response_of_an_error_may_stream() {
    in_all_modes(async |mode| {
        let handler = respond(async |_: &mut Request| -> Result<String> {
            let (feed, body) = fed();
            tokio::spawn(async move {
                for piece in ["one ", "two ", "three"] {
                    tokio::time::sleep(secs(1)).await;
                    feed.send(Ok(Bytes::from_static(piece.as_bytes()))).unwrap();
                }
            });
            Err(Error::from_response(Response::new(body).with_status(StatusCode::BAD_GATEWAY)))
        });
        let site = Site::start(mode, handler);
        let mut response = site.get("/").await.unwrap();
        assert_eq!(response.status.as_u16(), 502);
        assert_eq!(response.body.chunk().await.unwrap().unwrap(), "one ");
        assert_eq!(response.text().await.unwrap(), "two three");
        let events = site.events().await;
        assert!(events.len() == 1 && events[0].ends_with("answered 502"), "{events:?}");
    })
    .await;
}

/// Every way to fail that a request has.
fn failing() -> ServeMux {
    let mux = ServeMux::new();
    mux.handle("GET /error", async |_: &mut ResponseWriter, _: &mut Request| Err(Error::other("secret")));
    mux.handle("GET /answer", async |_: &mut ResponseWriter, _: &mut Request| {
        Err(Error::answer(StatusCode::CONFLICT, "it is \"taken\""))
    });
    mux.handle("GET /panic", async |_: &mut ResponseWriter, _: &mut Request| -> Result<()> { panic!("secret") });
    mux.handle("GET /method", async |w: &mut ResponseWriter, _: &mut Request| {
        w.write("left behind").await?;
        w.error(StatusCode::FORBIDDEN, "not you").await
    });
    mux.handle("GET /function", async |w: &mut ResponseWriter, _: &mut Request| {
        error(w, "gone for good", StatusCode::GONE).await
    });
    mux.handle("GET /same", async |_: &mut ResponseWriter, _: &mut Request| {
        Err(Error::answer(StatusCode::GONE, "410 Gone"))
    });
    mux.handle("POST /large", async |w: &mut ResponseWriter, r: &mut Request| {
        r.body.limit(3);
        w.write(r.body.text().await?).await
    });
    mux.handle("GET /files/", nethttp::strip_prefix("/files", nethttp::file_server("src")));
    let late = async |w: &mut ResponseWriter, _: &mut Request| {
        error(w, "given up", StatusCode::NOT_FOUND).await?;
        std::future::pending().await
    };
    mux.handle("GET /late", timeout_handler(late, secs(1), ""));
    mux.handle("GET /written", async |w: &mut ResponseWriter, _: &mut Request| {
        w.write_header(StatusCode::NOT_FOUND);
        w.write("as the handler has it").await
    });
    mux.handle("GET /more", async |w: &mut ResponseWriter, _: &mut Request| {
        error(w, "begun", StatusCode::NOT_FOUND).await?;
        w.write("and ended").await
    });
    mux.handle("GET /begun", async |w: &mut ResponseWriter, _: &mut Request| {
        w.write("begun").await?;
        w.flush().await?;
        w.error(StatusCode::CONFLICT, "too late").await
    });
    mux
}

#[tokio::test(start_paused = true)]
async fn problem_details_take_the_place_of_every_error_and_of_nothing_else() {
    in_all_modes(async |mode| {
        let site = Site::with(mode, failing(), |server| server.on_error = Some(Arc::new(problem_details)), |_| {});
        for (path, status, rest) in [
            ("/error", 500, ""),
            ("/answer", 409, ",\"detail\":\"it is \\\"taken\\\"\""),
            ("/panic", 500, ""),
            ("/method", 403, ",\"detail\":\"not you\""),
            ("/function", 410, ",\"detail\":\"gone for good\""),
            // What says the status in other words says no more than the title.
            ("/files/x", 404, ""),
            ("/late", 503, ""),
            ("/nothing", 404, ""),
            ("/large", 405, ""),
            ("/same", 410, ""),
        ] {
            let mut response = site.get(path).await.unwrap();
            assert_eq!(response.status.as_u16(), status, "{path}");
            assert_eq!(response.header.get("Content-Type"), Some("application/problem+json"), "{path}");
            let title = response.status.canonical_reason().unwrap();
            let expected = format!("{{\"title\":\"{title}\",\"status\":{status}{rest}}}");
            assert_eq!(response.header.get("Content-Length"), Some(&*expected.len().to_string()), "{path}");
            assert_eq!(response.header.contains("Allow"), status == 405);
            assert_eq!(response.text().await.unwrap(), expected, "{path}");
            // HEAD has the same fields.
            let head = site.client.head(&*site.url(path)).await.unwrap();
            assert_eq!(head.content_length, Some(expected.len() as u64), "{path}");
        }
        let (status, text) = whole(site.post("/large", "1234").await).await;
        assert!(status == 413 && text.contains("\"detail\":\"the body is over"), "{text}");

        assert_eq!(site.ask("/written").await, (404, "as the handler has it".into()));
        assert_eq!(site.ask("/more").await, (404, "begun\nand ended".into()));
        let mut begun = site.get("/begun").await.unwrap();
        assert_eq!(begun.status.as_u16(), 200);
        begun.text().await.unwrap_err();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn without_a_hook_errors_are_plain_text() {
    in_all_modes(async |mode| {
        let site = Site::start(mode, failing());
        assert_eq!(site.ask("/method").await, (403, "not you".into()));
        assert_eq!(site.ask("/function").await, (410, "gone for good\n".into()));
        assert_eq!(site.ask("/nothing").await, (404, "404 page not found\n".into()));
    })
    .await;
}

/// What a hook has seen: the status, the request's target where there was one, what the peer may know.
type Seen = Arc<Mutex<Vec<(u16, Option<String>, Option<String>)>>>;

fn seeing(seen: &Seen, response: impl Fn() -> Option<Response> + Send + Sync + 'static) -> Hook {
    let seen = seen.clone();
    Arc::new(move |failure: &ErrorInfo<'_>| {
        let target = failure.request.map(|request| request.request_uri.clone());
        let detail = failure.detail().map(str::to_owned);
        assert!(failure.remote_addr.to_string().contains("client"), "{}", failure.remote_addr);
        seen.lock().unwrap().push((failure.status.as_u16(), target, detail));
        response()
    })
}

type Hook = Arc<dyn Fn(&ErrorInfo<'_>) -> Option<Response> + Send + Sync>;

#[tokio::test(start_paused = true)]
async fn the_hook_also_sees_heads_that_are_refused() {
    let seen = Seen::default();
    let hook = seeing(&seen, || Some(Response::new("no").with_status(StatusCode::IM_A_TEAPOT)));
    let site = Site::with(Mode::Http1, failing(), |server| server.on_error = Some(hook), |_| {});
    for (bytes, status, has_request) in [
        ("no request\r\n\r\n", 400, false),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, false),
        ("GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505, false),
        ("GET / HTTP/1.1\r\nHost: a\r\nExpect: magic\r\n\r\n", 417, true),
    ] {
        let mut stream = site.dialer.dial().await.unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        let mut heard = String::new();
        stream.read_to_string(&mut heard).await.unwrap();
        assert!(heard.starts_with("HTTP/1.1 418 I'm a teapot\r\n") && heard.ends_with("\r\n\r\nno"), "{heard}");
        assert!(heard.contains("Content-Length: 2\r\n") && heard.contains("Connection: close\r\n"), "{heard}");
        let (told, target, detail) = seen.lock().unwrap().pop().unwrap();
        assert_eq!((told, target.is_some(), detail.is_some()), (status, has_request, true), "{bytes}");
    }
    assert!(seen.lock().unwrap().is_empty(), "each is asked about once");
}

#[tokio::test(start_paused = true)]
async fn the_hook_sees_the_503_of_a_handler_that_is_late() {
    let seen = Seen::default();
    let hook = seeing(&seen, || Some((StatusCode::GATEWAY_TIMEOUT, "late").into_response()));
    let late = async |_: &mut ResponseWriter, _: &mut Request| -> Result<()> {
        tokio::time::sleep(secs(60)).await;
        Ok(())
    };
    let set = |server: &mut nethttp::Server| {
        server.on_error = Some(hook);
        server.write_timeout = secs(1);
    };
    let site = Site::with(Mode::Http1, late, set, |_| {});
    assert_eq!(site.ask("/").await, (504, "late".into()));
    assert_eq!(*seen.lock().unwrap(), [(503, None, None)]);
}

#[tokio::test(start_paused = true)]
async fn what_a_hook_gives_can_break_no_framing_and_a_hook_that_panics_is_reported() {
    let hooks: [fn() -> Option<Response>; 4] = [
        || panic!("in the hook"),
        || Some(Response::new(fed().1).with_status(StatusCode::BAD_GATEWAY)),
        || Some(Response::new("no").with_status(StatusCode::CONTINUE)),
        || {
            let odd =
                [("Content-Length", "99"), ("Transfer-Encoding", "chunked"), ("Trailer", "X"), ("Connection", "x")];
            let mut response = Response::new("own").with_status(StatusCode::BAD_GATEWAY);
            response.header.extend(odd);
            Some(response)
        },
    ];
    in_all_modes(async |mode| {
        for (number, give) in hooks.into_iter().enumerate() {
            let seen = Seen::default();
            let hook = seeing(&seen, give);
            let site = Site::with(mode, failing(), |server| server.on_error = Some(hook), |_| {});
            let expected =
                if number == 3 { (502, "own".into()) } else { (500, "500 Internal Server Error\n".to_owned()) };
            assert_eq!(site.ask("/error").await, expected, "{number}");
            assert_eq!(site.ask("/error").await, expected, "{number}: the connection is in order");
            let events = site.events().await;
            let panics = events.iter().filter(|event| event.contains("the hook on_error panicked: in the hook"));
            assert_eq!(panics.count(), if number == 0 { 2 } else { 0 }, "{events:?}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_request_over_http2_that_is_refused_is_asked_about_and_only_its_stream_ends() {
    let seen = Seen::default();
    let hook = seeing(&seen, || Some((StatusCode::BAD_REQUEST, "own").into_response()));
    let site = Site::with(
        Mode::Http2,
        failing(),
        |server| {
            server.on_error = Some(hook);
            server.max_header_value_count = 10;
        },
        |_| {},
    );
    let mut request = site.request(Method::GET, "/written", Body::empty());
    for number in 0..20 {
        request.header.add(format!("X-{number}"), "1");
    }
    assert_eq!(whole(site.client.send(request).await).await, (400, "own".into()));
    let (status, target, _) = seen.lock().unwrap().pop().unwrap();
    assert_eq!((status, target), (431, None));
    assert_eq!(site.ask("/written").await.0, 404);
    assert_eq!(site.server.connections(), 1);
}
