//! The router as its users see it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use nethttp::mux::{DefaultServeMux, Lookup, default_serve_mux};
use nethttp::{Body, ErrorKind, Handler, Method, Request, ResponseWriter, Result, ServeMux, Uri};

async fn silent(_: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    Ok(())
}

fn get(target: &'static str) -> Request {
    Request::new(Method::GET, Uri::from_static(target), Body::empty())
}

#[test]
fn a_lookup_says_what_would_be_done() {
    let mux = ServeMux::new();
    mux.handle("GET /posts/{id}", silent);
    mux.handle("POST /posts/", silent);
    mux.handle("/files/", silent);
    assert_eq!(mux.lookup(&get("/posts/7")), Lookup::Matched { pattern: "GET /posts/{id}".into() });
    assert_eq!(
        mux.lookup(&get("/files?all")),
        Lookup::Redirect { location: "/files/?all".into(), pattern: "/files/".into() }
    );
    assert_eq!(mux.lookup(&get("/posts/")), Lookup::MethodNotAllowed { allow: "POST".into() });
    assert_eq!(mux.lookup(&get("/")), Lookup::NotFound);
}

#[test]
fn a_conflict_names_both_patterns_and_their_lines_in_this_file() {
    let mux = ServeMux::new();
    let (first, second) = (line!() + 1, line!() + 2);
    mux.handle("/posts/{id}", silent);
    let error = mux.try_handle("/{kind}/latest", silent).expect_err("they overlap");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(
        error.to_string(),
        format!(
            "pattern \"/{{kind}}/latest\" (registered at tests/server/mux.rs:{second}:21) conflicts with \
             pattern \"/posts/{{id}}\" (registered at tests/server/mux.rs:{first}:9): both match \"/posts/latest\", and \
             neither is more specific; \"/{{kind}}/latest\" alone matches \"/kind/latest\", \
             \"/posts/{{id}}\" alone matches \"/posts/id\""
        )
    );
}

#[test]
fn handle_panics_with_what_try_handle_returns() {
    let mux = ServeMux::new();
    for pattern in ["", "posts", "/:id", "/{id", "GET /a/../b"] {
        let returned = mux.try_handle(pattern, silent).expect_err(pattern).to_string();
        let panicked = catch_unwind(AssertUnwindSafe(|| mux.handle(pattern, silent))).expect_err(pattern);
        assert_eq!(panicked.downcast_ref(), Some(&returned));
    }
}

#[test]
fn a_clone_shares_its_routes() {
    let mux = ServeMux::new();
    let clone = mux.clone();
    clone.handle("/late", silent);
    assert_eq!(mux.lookup(&get("/late")), Lookup::Matched { pattern: "/late".into() });
}

#[test]
fn the_process_has_a_mux_that_none_stands_for() {
    fn takes(_: impl Handler) {}
    takes(None);
    takes(DefaultServeMux);
    takes(default_serve_mux().clone());

    nethttp::handle("/default", silent);
    assert_eq!(default_serve_mux().lookup(&get("/default")), Lookup::Matched { pattern: "/default".into() });
    let line = line!() + 1;
    let again = catch_unwind(|| nethttp::handle("/default", silent)).expect_err("it is registered");
    let message = again.downcast_ref::<String>().expect("a message");
    assert!(message.contains(&format!("(registered at tests/server/mux.rs:{line}:")), "{message}");
}

#[test]
fn a_mux_may_be_mounted_in_a_mux() {
    let inner = ServeMux::new();
    inner.handle("/api/posts", silent);
    let outer = ServeMux::new();
    outer.handle("/api/", inner.clone());
    outer.not_found(silent);
    assert_eq!(outer.lookup(&get("/api/posts")), Lookup::Matched { pattern: "/api/".into() });
    assert_eq!(inner.lookup(&get("/api/none")), Lookup::NotFound);
}
