//! `Cors` around a mux.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nethttp::middleware::{Cors, Timeout, with_state};
use nethttp::{Error, Handler, Method, Next, Request, ResponseWriter, Result, ServeMux, StatusCode};

use crate::site::{Site, in_all_modes};
use crate::{Fields, answer, ask, field, get};

const ORIGIN: (&str, &str) = ("Origin", "https://app.test");
const FOREIGN: (&str, &str) = ("Origin", "https://evil.test");
const PUT: (&str, &str) = ("Access-Control-Request-Method", "PUT");
const PREFLIGHT_VARY: &str = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";

fn cors() -> Cors {
    Cors::new()
        .allow_origin("https://app.test")
        .allow_methods([Method::PUT, Method::POST])
        .allow_headers(["Content-Type"])
        .expose_headers(["X-Total", "ETag"])
        .allow_credentials()
        .max_age(Duration::from_millis(600_999))
}

fn mux(cors: Cors) -> ServeMux {
    let mux = ServeMux::new();
    mux.handle("GET /", answer);
    mux.handle("PUT /put", answer);
    mux.wrap(cors);
    mux
}

fn access_fields(header: &nethttp::Header) -> Vec<String> {
    let access = header.iter().filter(|(name, _)| name.to_ascii_lowercase().starts_with("access-control-"));
    let mut lines: Vec<String> =
        access.map(|(name, value)| format!("{}: {}", name.to_ascii_lowercase(), value.escape_ascii())).collect();
    lines.sort();
    lines
}

#[tokio::test(start_paused = true)]
async fn a_preflight_is_answered_before_the_mux_can_say_405() {
    in_all_modes(async |mode| {
        let site = Site::start(mode, mux(cors()));
        for path in ["/put", "/", "/nowhere/at/all"] {
            let mut response = ask(&site, Method::OPTIONS, path, &[ORIGIN, PUT]).await;
            assert_eq!((response.status.as_u16(), field(&response.header, "Vary").as_str()), (204, PREFLIGHT_VARY));
            let expected = [
                "access-control-allow-credentials: true",
                "access-control-allow-headers: Content-Type",
                "access-control-allow-methods: GET, HEAD, POST, PUT",
                "access-control-allow-origin: https://app.test",
                "access-control-max-age: 600",
            ];
            assert_eq!(access_fields(&response.header), expected, "{path}");
            assert_eq!(response.text().await.unwrap(), "");
        }
        // An OPTIONS that is no preflight is the mux's.
        let response = ask(&site, Method::OPTIONS, "/put", &[ORIGIN]).await;
        assert_eq!((response.status.as_u16(), field(&response.header, "Vary").as_str()), (405, PREFLIGHT_VARY));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_foreign_origin_learns_nothing_and_caches_learn_that_it_was_asked() {
    in_all_modes(async |mode| {
        let site = Site::start(mode, mux(cors()));
        let response = ask(&site, Method::OPTIONS, "/put", &[FOREIGN, PUT]).await;
        assert_eq!((response.status.as_u16(), field(&response.header, "Vary").as_str()), (204, PREFLIGHT_VARY));
        assert_eq!(access_fields(&response.header), [""; 0]);
        let fields: [Fields<'_>; 3] = [&[FOREIGN], &[], &[ORIGIN, FOREIGN]];
        for fields in fields {
            let response = get(&site, "/", fields).await;
            assert_eq!((response.status.as_u16(), field(&response.header, "Vary").as_str()), (200, "Origin"));
            assert_eq!(access_fields(&response.header), [""; 0]);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn every_response_to_an_allowed_origin_can_be_read_errors_included() {
    in_all_modes(async |mode| {
        let mux = mux(cors());
        mux.handle("GET /only", answer);
        let site = Site::start(mode, mux);
        for (method, path, status) in [
            (Method::GET, "/", 200),
            (Method::GET, "/large", 200),
            (Method::GET, "/error", 418),
            (Method::GET, "/panic", 500),
            (Method::DELETE, "/only", 405),
        ] {
            let response = ask(&site, method, path, &[ORIGIN]).await;
            assert_eq!(
                (response.status.as_u16(), field(&response.header, "Vary").as_str()),
                (status, "Origin"),
                "{path}"
            );
            let expected = [
                "access-control-allow-credentials: true",
                "access-control-allow-origin: https://app.test",
                "access-control-expose-headers: X-Total, ETag",
            ];
            assert_eq!(access_fields(&response.header), expected, "{path}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn any_origin_is_a_star_and_nothing_varies() {
    in_all_modes(async |mode| {
        let site = Site::start(mode, mux(Cors::new().allow_any_origin()));
        let fields: [Fields<'_>; 2] = [&[ORIGIN], &[]];
        for fields in fields {
            let response = get(&site, "/", fields).await;
            assert_eq!(access_fields(&response.header), ["access-control-allow-origin: *"]);
            assert!(!response.header.contains("Vary"));
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_the_handler_says_itself_stays_and_is_said_once() {
    in_all_modes(async |mode| {
        let open = async |w: &mut ResponseWriter, _: &mut Request| {
            w.header().set("Access-Control-Allow-Origin", "*");
            w.header().set("Vary", "Accept-Encoding");
            w.write("open").await
        };
        let mux = mux(cors());
        mux.handle("GET /open", open);
        let response = get(&Site::start(mode, mux), "/open", &[ORIGIN]).await;
        assert_eq!(access_fields(&response.header), ["access-control-allow-origin: *"]);
        assert_eq!(field(&response.header, "Vary"), "Accept-Encoding, Origin");
    })
    .await;
}

/// Counts requests, and refuses what shows no credentials, as a preflight does.
async fn known_visitors(
    reached: &Arc<AtomicUsize>,
    w: &mut ResponseWriter,
    r: &mut Request,
    next: Next<'_>,
) -> Result<()> {
    reached.fetch_add(1, Ordering::SeqCst);
    match r.method {
        Method::OPTIONS => Err(Error::answer(StatusCode::UNAUTHORIZED, "who?")),
        _ => next.run(w, r).await,
    }
}

/// A mux with rules, groups in it with others, and what is between: a group that allows less, one that allows more, a
/// mounted mux, and a handler of its own.
fn layered(reached: &Arc<AtomicUsize>) -> ServeMux {
    let wide = Cors::new().allow_origins([ORIGIN.1, FOREIGN.1]).allow_methods([Method::PUT]).allow_credentials();
    let narrow = || Cors::new().allow_origin(ORIGIN.1).max_age(Duration::from_secs(7));
    let late = async |_: &mut ResponseWriter, _: &mut Request| std::future::pending::<Result<()>>().await;
    let inner = ServeMux::new();
    inner.handle("PUT /put", answer);
    let mux = ServeMux::new();
    mux.wrap(wide);
    mux.wrap(with_state(reached.clone(), known_visitors));
    mux.wrap(Timeout::new(Duration::from_secs(1)));
    mux.handle("PUT /put", answer);
    mux.handle("/alone", answer.wrapped_in(narrow()));
    let group = mux.group("/less");
    group.wrap(narrow());
    group.handle("PUT /put", answer);
    group.handle("GET /error", answer);
    group.handle("GET /late", late);
    group.mount("/in", &inner);
    let group = group.group("/more");
    group.wrap(Cors::new().allow_any_origin());
    group.handle("PUT /put", answer);
    mux
}

#[tokio::test(start_paused = true)]
async fn of_several_around_each_other_the_innermost_decides_alone() {
    in_all_modes(async |mode| {
        let reached = Arc::new(AtomicUsize::new(0));
        let site = Site::start(mode, layered(&reached));
        let allowed = async |method: Method, path: &str, fields: Fields<'_>| {
            let response = ask(&site, method, path, fields).await;
            (response.status.as_u16(), access_fields(&response.header).join("; "))
        };
        const OWN: &str = "access-control-allow-origin: https://app.test";
        const EVIL: &str = "access-control-allow-credentials: true; access-control-allow-origin: https://evil.test";
        for (path, status, own, foreign) in [
            (
                "/put",
                200,
                "access-control-allow-credentials: true; access-control-allow-origin: https://app.test",
                EVIL,
            ),
            ("/less/put", 200, OWN, ""),
            ("/less/in/put", 200, OWN, ""),
            ("/less/none", 404, OWN, ""),
            ("/less/error", 405, OWN, ""),
            ("/alone", 200, OWN, ""),
            ("/less/more/put", 200, "access-control-allow-origin: *", "access-control-allow-origin: *"),
        ] {
            assert_eq!(allowed(Method::PUT, path, &[ORIGIN]).await, (status, own.into()), "{path}");
            assert_eq!(allowed(Method::PUT, path, &[FOREIGN]).await, (status, foreign.into()), "{path}");
        }
        // What takes the place of the handler's response is outside of the inner rules.
        assert_eq!(allowed(Method::GET, "/less/late", &[FOREIGN]).await, (503, EVIL.into()));

        reached.store(0, Ordering::SeqCst);
        for (path, methods, origin) in [
            ("/put", "GET, HEAD, POST, PUT", Some("https://evil.test")),
            ("/less/put", "GET, HEAD, POST", None),
            ("/less/in/put", "GET, HEAD, POST", None),
            ("/less/none", "GET, HEAD, POST", None),
            ("/alone", "GET, HEAD, POST", None),
            ("/less/more/put", "GET, HEAD, POST", Some("*")),
        ] {
            let response = ask(&site, Method::OPTIONS, path, &[FOREIGN, PUT]).await;
            assert_eq!(
                (response.status.as_u16(), response.header.get("Access-Control-Allow-Origin")),
                (204, origin),
                "{path}"
            );
            let response = ask(&site, Method::OPTIONS, path, &[ORIGIN, PUT]).await;
            assert_eq!(response.header.get("Access-Control-Allow-Methods"), Some(methods), "{path}");
            let age = Some("7").filter(|_| origin.is_none());
            assert_eq!(response.header.get("Access-Control-Max-Age"), age, "{path}");
        }
        assert_eq!(reached.load(Ordering::SeqCst), 0, "a preflight reaches nothing between the two");
    })
    .await;
}
