//! Middleware around handlers and around a mux: its order, what it sees, and what it may do.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use nethttp::middleware::{BoxMiddleware, with_state};
use nethttp::{
    BoxHandler, Error, Handler, Method, Middleware, Next, Request, ResponseWriter, Result, RoundTripper, ServeMux,
    StatusCode, not_found,
};

use crate::site::{on_all_sites, whole};
use crate::support::hello;

/// Notes when it is entered, and what it sees when it is left.
#[derive(Clone)]
struct Noted(&'static str, Arc<Mutex<Vec<String>>>);

impl Middleware for Noted {
    async fn handle(&self, w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
        self.1.lock().unwrap().push(format!("{} in", self.0));
        w.header().add("X-Passed", self.0);
        let result = next.run(w, r).await;
        let pattern = r.pattern.as_deref().unwrap_or("no pattern");
        self.1.lock().unwrap().push(format!("{} out: {pattern}", self.0));
        result
    }
}

/// What was noted since the last call.
fn taken(notes: &Mutex<Vec<String>>) -> String {
    std::mem::take(&mut *notes.lock().unwrap()).join(", ")
}

async fn refuse_visitors(w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
    if r.header.contains("X-Visitor") {
        return Err(Error::answer(StatusCode::FORBIDDEN, "no visitors"));
    }
    next.run(w, r).await
}

#[tokio::test(start_paused = true)]
async fn the_first_that_a_mux_is_wrapped_in_is_the_outermost_for_its_own_answers_too() {
    let notes = Arc::default();
    let mux = ServeMux::new();
    mux.wrap(Noted("first", Arc::clone(&notes)));
    mux.handle("GET /page", hello);
    mux.wrap(Noted("second", Arc::clone(&notes)));
    mux.handle("/tree/", hello);
    on_all_sites(mux, async |site| {
        for (path, status, pattern) in [
            ("/page", 200, "GET /page"),
            ("/tree/x", 200, "/tree/"),
            ("/none", 404, "no pattern"),
            ("/%zz/..", 404, "no pattern"),
        ] {
            let response = site.get(path).await.unwrap();
            assert_eq!(
                (response.status.as_u16(), response.header.values("X-Passed").collect()),
                (status, vec!["first", "second"])
            );
            let order = format!("first in, second in, second out: {pattern}, first out: {pattern}");
            assert!(taken(&notes).ends_with(&order), "{path}");
        }
        let response = site.post("/page", "").await.unwrap();
        assert_eq!((response.status.as_u16(), response.header.get("Allow")), (405, Some("GET, HEAD")));
        assert_eq!(response.header.values("X-Passed").count(), 2);
        let mut request = site.request(Method::GET, "/tree", ());
        let response = site.transport.round_trip(&mut request).await.unwrap();
        assert_eq!((response.status.as_u16(), response.header.values("X-Passed").count()), (307, 2));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_last_that_a_handler_is_wrapped_in_is_the_outermost() {
    let notes = Arc::default();
    let handler = hello.wrapped_in(Noted("inner", Arc::clone(&notes))).wrapped_in(Noted("outer", Arc::clone(&notes)));
    on_all_sites(handler, async |site| {
        let response = site.get("/").await.unwrap();
        assert_eq!(response.header.values("X-Passed").collect::<Vec<_>>(), ["outer", "inner"]);
        assert_eq!(taken(&notes), "outer in, inner in, inner out: no pattern, outer out: no pattern");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_middleware_may_answer_in_place_of_the_handler_or_fail() {
    let asked = Arc::new(AtomicU64::new(0));
    let counted = asked.clone();
    let mux = ServeMux::new();
    mux.wrap(refuse_visitors);
    mux.wrap(async |w: &mut ResponseWriter, r: &mut Request, next: Next<'_>| match r.escaped_path() {
        "/closed" => w.write("closed today").await,
        _ => next.run(w, r).await,
    });
    mux.wrap(with_state(
        counted,
        async |n: &Arc<AtomicU64>, w: &mut ResponseWriter, r: &mut Request, next: Next<'_>| {
            n.fetch_add(1, Ordering::Relaxed);
            next.run(w, r).await
        },
    ));
    mux.handle("/", hello);
    on_all_sites(mux, async |site| {
        asked.store(0, Ordering::Relaxed);
        assert_eq!(site.ask("/closed").await, (200, "closed today".to_owned()));
        let mut request = site.request(Method::GET, "/", ());
        request.header.set("X-Visitor", "1");
        assert_eq!(whole(site.client.send(request).await).await.0, 403);
        assert_eq!(asked.load(Ordering::Relaxed), 0, "neither came so far");
        assert_eq!(site.ask("/").await, (200, "hello".to_owned()));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_middleware_sees_the_error_of_its_handler_and_may_answer_it() {
    async fn gone_for_failures(w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
        match next.run(w, r).await {
            Err(error) if error.status() == Some(StatusCode::IM_A_TEAPOT) => {
                w.write_header(StatusCode::GONE);
                w.write(error.to_string()).await
            }
            other => other,
        }
    }
    let failing = async |_: &mut ResponseWriter, r: &mut Request| {
        Err(Error::answer(
            if r.escaped_path() == "/tea" { StatusCode::IM_A_TEAPOT } else { StatusCode::CONFLICT },
            "no coffee",
        ))
    };
    on_all_sites(failing.wrapped_in(gone_for_failures), async |site| {
        assert_eq!(site.ask("/tea").await, (410, String::from("no coffee")));
        assert_eq!(site.ask("/").await.0, 409);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_middleware_may_ask_again_while_nothing_was_sent() {
    async fn twice(w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
        match next.run(w, r).await {
            Ok(()) => Ok(()),
            Err(_) => next.run(w, r).await,
        }
    }
    let tries = AtomicU64::new(0);
    let flaky = nethttp::handle_with(tries, async |n: &AtomicU64, w: &mut ResponseWriter, _: &mut Request| {
        if n.fetch_add(1, Ordering::Relaxed) % 2 == 0 {
            return Err(Error::answer(StatusCode::BAD_GATEWAY, ""));
        }
        w.write("at last").await
    });
    on_all_sites(Arc::new(flaky.wrapped_in(twice)), async |site| {
        assert_eq!(site.ask("/").await, (200, "at last".to_owned()));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn middleware_and_handlers_of_any_type_go_into_lists_branches_and_options() {
    let notes: Arc<Mutex<Vec<String>>> = Arc::default();
    let list = vec![
        BoxMiddleware::new(Noted("a", notes.clone())),
        BoxMiddleware::new(refuse_visitors),
        BoxMiddleware::new(Some(Noted("b", notes.clone()))),
        BoxMiddleware::new(None::<Noted>),
        BoxMiddleware::new(Arc::new(Noted("c", notes.clone()))),
        BoxMiddleware::new(Vec::<BoxMiddleware>::new()),
    ];
    let handlers: Vec<BoxHandler> =
        [true, false].map(|found| if found { hello.boxed() } else { not_found.boxed() }).into();
    let mux = ServeMux::new();
    for (path, handler) in ["/found", "/gone"].into_iter().zip(handlers) {
        mux.handle(path, BoxHandler::new(handler.wrapped_in(list.clone())));
    }
    on_all_sites(mux, async |site| {
        for (path, status) in [("/found", 200), ("/gone", 404)] {
            assert_eq!(site.ask(path).await.0, status);
            assert_eq!(taken(&notes), format!("a in, b in, c in, c out: {path}, b out: {path}, a out: {path}"));
        }
    })
    .await;
}
