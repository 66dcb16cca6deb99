//! Groups of routes, and muxes in muxes: which route answers, what its handler sees, what is around it.

use std::sync::{Arc, Mutex};

use nethttp::mux::Lookup;
use nethttp::server::RequestRecord;
use nethttp::{
    Body, Error, Handler, Method, Middleware, Next, Request, ResponseWriter, Result, ServeMux, StatusCode, redirect,
    strip_prefix, testing,
};

use crate::site::{Site, in_all_modes, on_all_sites, whole};
use crate::support::{hello, settle};

/// What a handler sees: where it is, and all path values that these tests use.
async fn seen(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let pattern = r.pattern.as_deref().unwrap_or_default();
    let values = ["a", "b"].map(|name| r.path_value(name)).join(",");
    w.write(format!("{pattern} {}+{} {values}", r.mount_path(), r.escaped_path())).await
}

/// Says in a field that it was passed, and that the pattern was known there.
#[derive(Clone)]
struct Passed(&'static str);

impl Middleware for Passed {
    async fn handle(&self, w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
        let known = if r.pattern.is_some() { " knows" } else { "" };
        w.header().add("X-Passed", format!("{}{known}", self.0));
        next.run(w, r).await
    }
}

async fn own_404(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    w.write_header(StatusCode::NOT_FOUND);
    w.write(format!("nothing at {}+{}", r.mount_path(), r.escaped_path())).await
}

/// What a mux does with a request for this target.
fn found(mux: &ServeMux, method: Method, target: &'static str) -> String {
    let mut request = Request::new(method, target.parse().unwrap(), Body::empty());
    request.request_uri = target.to_owned();
    match mux.lookup(&request) {
        Lookup::Matched { pattern } => pattern.to_string(),
        Lookup::Redirect { location, pattern } => format!("-> {location} ({pattern})"),
        Lookup::MethodNotAllowed { allow } => format!("405 {allow}"),
        other => format!("{other:?}"),
    }
}

fn nested() -> ServeMux {
    let inner = ServeMux::new();
    inner.wrap(Passed("inner"));
    inner.handle("GET /{b}", seen);
    inner.handle("/tree/{b...}", seen);
    inner.handle("/only/{$}", seen);
    let middle = ServeMux::new();
    middle.mount("/in", &inner);
    middle.handle("POST /x", seen);
    let outer = ServeMux::new();
    outer.wrap(Passed("outer"));
    outer.mount("/u/{a}", &middle);
    // What comes after the mounting comes everywhere.
    inner.wrap(Passed("late"));
    inner.handle("/late/", seen);
    outer.handle("GET /u/me/in/{b}", seen);
    outer
}

#[tokio::test(start_paused = true)]
async fn a_mounted_handler_sees_a_path_without_its_prefix_and_the_values_of_all_wildcards() {
    on_all_sites(nested(), async |site| {
        for (path, expected) in [
            ("/u/1/in/2", "GET /u/{a}/in/{b} /u/1/in+/2 1,2"),
            ("/u/%2F/in/b%2Fc", "GET /u/{a}/in/{b} /u/%2F/in+/b%2Fc /,b/c"),
            ("/u/1/in/tree/x/y", "/u/{a}/in/tree/{b...} /u/1/in+/tree/x/y 1,x/y"),
            ("/u/1/in/only/", "/u/{a}/in/only/{$} /u/1/in+/only/ 1,"),
            ("/u/1/in/late/x", "/u/{a}/in/late/ /u/1/in+/late/x 1,"),
            ("/u/me/in/2", "GET /u/me/in/{b} +/u/me/in/2 ,2"),
        ] {
            let (status, content) = site.ask(path).await;
            assert_eq!((status, content.as_str()), (200, expected), "{path}");
        }
        assert_eq!(site.post("/u/1/x?q", "").await.unwrap().text().await.unwrap(), "POST /u/{a}/x /u/1+/x 1,");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_middleware_of_a_mounted_mux_is_around_all_below_its_prefix_and_nothing_else() {
    on_all_sites(nested(), async |site| {
        for (method, path, status, passed) in [
            (Method::GET, "/u/1/in/2", 200, "outer, inner knows, late knows"),
            (Method::HEAD, "/u/1/in/2", 200, "outer, inner knows, late knows"),
            (Method::GET, "/u/1/in/2/3", 404, "outer, inner, late"),
            (Method::GET, "/u/1/in", 404, "outer, inner, late"),
            (Method::PUT, "/u/1/in/2", 405, "outer, inner, late"),
            (Method::GET, "/u/1/x", 405, "outer"),
            (Method::GET, "/u/1/y", 404, "outer"),
            (Method::GET, "/u/me/in/2", 200, "outer"),
            (Method::GET, "/", 404, "outer"),
        ] {
            let response = site.client.send(site.request(method.clone(), path, ())).await.unwrap();
            let fields: Vec<&str> = response.header.values("X-Passed").collect();
            assert_eq!((response.status.as_u16(), fields.join(", ").as_str()), (status, passed), "{method} {path}");
        }
    })
    .await;
}

#[test]
fn whole_patterns_decide_what_wins_what_is_allowed_and_where_a_slash_is_missing() {
    let inner = ServeMux::new();
    for pattern in ["GET /users", "/", "PUT /{x}", "/deep/{$}"] {
        inner.handle(pattern, hello);
    }
    let mux = ServeMux::new();
    mux.mount("/api/", &inner);
    mux.handle("POST /api/{y}", hello);
    mux.handle("GET /api/{z}", hello);
    for (method, target, expected) in [
        (Method::GET, "/api/users", "GET /api/users"),
        (Method::HEAD, "/api/users", "GET /api/users"),
        (Method::GET, "/api/other", "GET /api/{z}"),
        (Method::POST, "/api/other", "POST /api/{y}"),
        (Method::PUT, "/api/other", "PUT /api/{x}"),
        (Method::PATCH, "/api/other", "/api/"),
        (Method::GET, "/api", "-> /api/ (/api/)"),
        (Method::GET, "/%61pi/", "/api/"),
        (Method::GET, "/api/./users", "-> /api/users (GET /api/users)"),
        (Method::POST, "/api/deep/?q=1", "/api/deep/{$}"),
        (Method::PATCH, "/api/deep?q=1", "-> /api/deep/?q=1 (/api/deep/{$})"),
        (Method::GET, "/users", "NotFound"),
    ] {
        assert_eq!(found(&mux, method.clone(), target), expected, "{method} {target}");
    }
    assert_eq!(found(&inner, Method::GET, "/users"), "GET /users", "it is a mux of its own still");
}

#[test]
fn what_conflicts_is_refused_wherever_it_is_registered_and_leaves_no_trace() {
    let inner = ServeMux::new();
    inner.handle("GET /a/{x}", hello);
    inner.handle("/free", hello);
    let mux = ServeMux::new();
    mux.handle("/api/{y}/b", hello);
    let error = mux.try_mount("/api", &inner).unwrap_err().to_string();
    assert!(error.contains("\"GET /api/a/{x}\"") && error.contains("conflicts with pattern \"/api/{y}/b\""), "{error}");
    assert_eq!(found(&mux, Method::GET, "/api/free"), "NotFound", "nothing of it is there");
    inner.handle("/later", hello);
    assert_eq!(found(&mux, Method::GET, "/api/later"), "NotFound");

    mux.mount("/v2", &inner);
    mux.handle("POST /v2/{y}/c", hello);
    let error = inner.try_handle("POST /d/{x}", hello).unwrap_err().to_string();
    assert!(error.contains("\"POST /v2/d/{x}\"") && error.contains("\"POST /v2/{y}/c\""), "{error}");
    assert_eq!(found(&inner, Method::GET, "/d/x"), "NotFound");
    assert!(inner.try_handle("/v2/d/{x}", hello).is_ok());
}

#[test]
fn a_mux_is_mounted_twice_where_its_routes_do_not_conflict_and_never_in_itself() {
    let inner = ServeMux::new();
    inner.handle("/x", hello);
    let mux = ServeMux::new();
    mux.mount("/a", &inner);
    mux.mount("/b", &inner);
    inner.handle("/y", hello);
    assert_eq!(
        ["/a/x", "/b/x", "/a/y", "/b/y"].map(|target| found(&mux, Method::GET, target)),
        ["/a/x", "/b/x", "/a/y", "/b/y"]
    );
    assert!(mux.try_mount("/a", &inner).is_err(), "the same routes");
    mux.mount("/{any}", &inner);
    assert!(inner.try_handle("/{p}/{q}", hello).is_ok(), "narrower and wider ones are no conflict");

    for (outer, inner) in [(&mux, &mux), (&inner, &mux)] {
        let error = outer.try_mount("/z", inner).unwrap_err().to_string();
        assert!(error.contains("a mux cannot be mounted in itself"), "{error}");
        assert!(outer.try_merge(inner).is_err());
    }
}

#[test]
fn two_mounts_of_one_mux_may_conflict_by_a_route_that_comes_later() {
    let inner = ServeMux::new();
    let mux = ServeMux::new();
    mux.mount("/a/{p}", &inner);
    mux.mount("/{q}/b", &inner);
    let error = inner.try_handle("/x", hello).unwrap_err().to_string();
    assert!(error.contains("neither is more specific"), "{error}");
    assert_eq!(found(&mux, Method::GET, "/a/1/x"), "NotFound");
    assert!(inner.routes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_group_has_a_prefix_and_middleware_that_knows_the_pattern_and_the_path_stays_whole() {
    let mux = ServeMux::new();
    mux.wrap(Passed("mux"));
    let api = mux.group("/api");
    api.handle("GET /users/{a}", seen);
    api.wrap(Passed("api"));
    let admin = api.group("/admin/{b}");
    admin.wrap(Passed("admin"));
    admin.handle("GET", seen);
    admin.handle("POST /", seen);
    let unprefixed = mux.group("");
    unprefixed.wrap(Passed("shared"));
    unprefixed.handle("GET /shared", seen);
    on_all_sites(mux, async |site| {
        for (method, path, status, passed, content) in [
            (Method::GET, "/api/users/7", 200, "mux, api knows", "GET /api/users/{a} +/api/users/7 7,"),
            (Method::GET, "/api/admin/x", 200, "mux, api knows, admin knows", "GET /api/admin/{b} +/api/admin/x ,x"),
            (
                Method::POST,
                "/api/admin/x/y",
                200,
                "mux, api knows, admin knows",
                "POST /api/admin/{b}/ +/api/admin/x/y ,x",
            ),
            (Method::OPTIONS, "/api/users/7", 405, "mux, api", "Method Not Allowed\n"),
            (Method::GET, "/api/none", 404, "mux, api", "404 page not found\n"),
            (Method::GET, "/api/admin/x/none", 405, "mux, api, admin", "Method Not Allowed\n"),
            (Method::GET, "/shared", 200, "mux, shared knows", "GET /shared +/shared ,"),
            (Method::PUT, "/shared", 405, "mux, shared", "Method Not Allowed\n"),
            (Method::GET, "/none", 404, "mux", "404 page not found\n"),
        ] {
            let mut response = site.client.send(site.request(method.clone(), path, ())).await.unwrap();
            let fields = response.header.values("X-Passed").collect::<Vec<_>>().join(", ");
            assert_eq!((response.status.as_u16(), fields.as_str()), (status, passed), "{method} {path}");
            assert_eq!(response.text().await.unwrap(), content, "{method} {path}");
        }
    })
    .await;
}

#[test]
fn nothing_is_mounted_where_a_part_of_it_cannot_be() {
    let inner = ServeMux::new();
    inner.handle("GET /x", hello);
    // Behind the prefix this group's wildcard is there twice. It has no routes that would say so.
    inner.group("/{b}");
    let outer = ServeMux::new();
    assert!(outer.try_mount("/users/{b}", &inner).is_err());
    assert_eq!(found(&outer, Method::GET, "/users/1/x"), "NotFound");
    assert_eq!(outer.routes().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn around_the_405_of_several_groups_is_what_they_share_and_a_preflight_goes_where_its_method_is() {
    in_all_modes(async |mode| {
        let mux = ServeMux::new();
        mux.wrap(Passed("mux"));
        let (open, admin) = (mux.group("/api"), mux.group("/api"));
        open.wrap(Passed("open"));
        open.handle("PUT /items/{b}", seen);
        admin.wrap(Passed("admin"));
        admin.handle("DELETE /items/{b}", seen);
        let site = Site::start(mode, mux);
        for (method, asked, passed) in [
            (Method::PATCH, "", &["mux"][..]),
            (Method::PATCH, "PUT", &["mux"]),
            (Method::OPTIONS, "", &["mux"]),
            (Method::OPTIONS, "PUT", &["mux", "open"]),
            (Method::OPTIONS, "DELETE", &["mux", "admin"]),
        ] {
            let mut request = site.request(method, "/api/items/1", ());
            request.header.set("Access-Control-Request-Method", asked);
            let response = site.client.send(request).await.unwrap();
            assert_eq!(response.status.as_u16(), 405);
            assert_eq!(response.header.values("X-Passed").collect::<Vec<_>>(), passed, "{asked}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_innermost_handler_for_404_and_405_answers() {
    let named = |name: &'static str| {
        nethttp::handle_with(name, async |name: &&'static str, w: &mut ResponseWriter, _: &mut Request| {
            let allow = w.header().get("Allow").unwrap_or_default().to_owned();
            w.write(format!("{name} {allow:?}")).await
        })
    };
    let inner = ServeMux::new();
    inner.handle("GET /x", hello);
    inner.not_found(own_404);
    let mux = ServeMux::new();
    mux.not_found(named("404 of the mux"));
    mux.method_not_allowed(named("405 of the mux"));
    mux.mount("/in/ner", &inner);
    mux.mount("/plain", &ServeMux::new());
    let group = mux.group("/group");
    group.not_found(named("404 of the group"));
    group.method_not_allowed(named("405 of the group"));
    group.handle("POST /x", hello);
    group.group("/within").handle("POST /x", hello);
    on_all_sites(mux, async |site| {
        for (path, content) in [
            ("/none", "404 of the mux \"\""),
            ("/in/ner/none", "nothing at /in/ner+/none"),
            ("/in/ner", "nothing at /in/ner+/"),
            ("/in/nerd", "404 of the mux \"\""),
            ("/plain/none", "404 of the mux \"\""),
            ("/group/none", "404 of the group \"\""),
            ("/group/x", "405 of the group \"POST\""),
            ("/group/within/none", "404 of the group \"\""),
            ("/group/within/x", "405 of the group \"POST\""),
        ] {
            assert_eq!(site.ask(path).await.1, content, "{path}");
        }
        let posted = site.post("/in/ner/x", "").await;
        assert_eq!(whole(posted).await.1, "405 of the mux \"GET, HEAD\"", "an inner one has none");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn mounted_handlers_redirect_to_where_the_client_sees_them() {
    let inner = ServeMux::new();
    inner.handle("/dir/page", async |w: &mut ResponseWriter, r: &mut Request| {
        redirect(w, r, "other?q=1", StatusCode::SEE_OTHER).await
    });
    inner.handle("/dir/root", async |w: &mut ResponseWriter, r: &mut Request| {
        redirect(w, r, "/login", StatusCode::SEE_OTHER).await
    });
    inner.handle("/files/", strip_prefix("/files", seen));
    let mux = ServeMux::new();
    mux.mount("/app/{a}", &inner);
    mux.mount_handler("/rest", seen.wrapped_in(Passed("handler")));
    // A mux that is a plain handler below a mount knows nothing of it, and leads right all the same.
    let plain = ServeMux::new();
    plain.handle("/tree/", hello);
    mux.mount_handler("/plain", Arc::new(plain));
    let group = mux.group("/v1");
    group.mount("/app", &inner);
    on_all_sites(mux, async |site| {
        for (path, location) in [
            ("/app/x%20y/dir/page", "/app/x%20y/dir/other?q=1"),
            ("/app/x/dir/root", "/login"),
            ("/app/x/files", "/app/x/files/"),
            ("/v1/app/dir/page", "/v1/app/dir/other?q=1"),
            ("/v1/app/files", "/v1/app/files/"),
            ("/plain/tree", "/plain/tree/"),
            ("/plain//tree", "/plain/tree"),
        ] {
            let mut request = site.request(Method::GET, path, ());
            let response = nethttp::RoundTripper::round_trip(&*site.transport, &mut request).await.unwrap();
            assert_eq!(response.header.get("Location"), Some(location), "{path}");
        }
        for (path, content) in [
            ("/app/x/files/a/b", "/app/{a}/files/ /app/x+/a/b x,"),
            ("/v1/app/files/a", "/v1/app/files/ /v1/app+/a ,"),
            ("/rest/a%2Fb/", "/rest/ /rest+/a%2Fb/ ,"),
            ("/rest", "/rest/ /rest+/ ,"),
        ] {
            assert_eq!(site.ask(path).await, (200, content.to_owned()), "{path}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn merged_routes_stay_as_they_are_in_their_own_middleware() {
    let users = ServeMux::new();
    users.wrap(Passed("users"));
    users.handle("GET /users/{a}", seen);
    users.mount("/files", &{
        let files = ServeMux::new();
        files.handle("/{b}", seen);
        files
    });
    users.not_found(own_404);
    let mux = ServeMux::new();
    mux.handle("GET /users/me", seen);
    mux.merge(&users);
    users.handle("/late", seen);
    mux.group("/v1").mount("/all", &mux_of(&users));
    on_all_sites(mux, async |site| {
        for (path, content, passed) in [
            ("/users/me", "GET /users/me +/users/me ,", 0),
            ("/users/7", "GET /users/{a} +/users/7 7,", 1),
            ("/files/f", "/files/{b} /files+/f ,f", 1),
            ("/late", "/late +/late ,", 1),
            ("/v1/all/files/f", "/v1/all/files/{b} /v1/all/files+/f ,f", 1),
            ("/none", "404 page not found\n", 0),
        ] {
            let mut response = site.get(path).await.unwrap();
            assert_eq!(response.header.values("X-Passed").count(), passed, "{path}");
            assert_eq!(response.text().await.unwrap(), content, "{path}");
        }
    })
    .await;
}

/// A mux that has another one merged into it, and nothing else.
fn mux_of(other: &ServeMux) -> ServeMux {
    let mux = ServeMux::new();
    mux.merge(other);
    mux
}

#[tokio::test(start_paused = true)]
async fn the_path_is_whole_again_around_a_mounted_handler_however_it_ends() {
    let paths: Arc<Mutex<Vec<String>>> = Arc::default();
    let noted = paths.clone();
    let inner = ServeMux::new();
    inner.handle("/fails", async |_: &mut ResponseWriter, _: &mut Request| {
        Err(Error::answer(StatusCode::CONFLICT, "so it is"))
    });
    let mux = ServeMux::new();
    mux.wrap(nethttp::middleware::with_state(
        noted,
        async |noted: &Arc<Mutex<Vec<String>>>, w: &mut ResponseWriter, r: &mut Request, next: Next<'_>| {
            let result = next.run(w, r).await;
            noted.lock().unwrap().push(format!("{:?} {}+{}", r.pattern, r.mount_path(), r.uri));
            result
        },
    ));
    mux.mount("/in", &inner);
    on_all_sites(mux, async |site| {
        assert_eq!(site.ask("/in/fails?q").await.0, 409);
        let path = std::mem::take(&mut *paths.lock().unwrap()).join(" ");
        assert!(path.starts_with("Some(\"/in/fails\") +") && path.ends_with("/in/fails?q"), "{path}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_record_has_the_whole_pattern_of_a_mounted_route() {
    in_all_modes(async |mode| {
        let patterns: Arc<Mutex<Vec<String>>> = Arc::default();
        let noted = patterns.clone();
        let hook = move |record: &RequestRecord| {
            noted.lock().unwrap().push(record.pattern.as_deref().unwrap_or("none").to_owned());
        };
        let site = Site::with(mode, nested(), |server| server.on_request = Some(Arc::new(hook)), |_| {});
        for path in ["/u/1/in/2", "/u/1/in/none/at/all"] {
            site.ask(path).await;
        }
        settle().await;
        assert_eq!(*patterns.lock().unwrap(), ["GET /u/{a}/in/{b}", "none"]);
    })
    .await;
}

#[test]
fn routes_are_listed_with_their_whole_patterns() {
    let inner = ServeMux::new();
    let line = line!() + 1;
    inner.handle("GET  a.test/{x}", hello);
    let mux = ServeMux::new();
    mux.handle("/", hello);
    mux.mount("/in", &inner);
    let routes = mux.routes();
    let listed: Vec<_> =
        routes.iter().map(|route| (route.method(), route.host(), route.path(), route.pattern())).collect();
    assert_eq!(listed, [(None, "", "/", "/"), (Some("GET"), "a.test", "/in/{x}", "GET a.test/in/{x}")]);
    assert_eq!((routes[1].location().file(), routes[1].location().line()), ("tests/modes/routers.rs", line));
    assert_eq!(format!("{} {}", routes[0], routes[1]), "/ GET a.test/in/{x}");
}

/// Notes the path that it sees.
#[derive(Clone)]
struct PathNoted(Arc<Mutex<Vec<String>>>);

impl Middleware for PathNoted {
    async fn handle(&self, w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
        self.0.lock().unwrap().push(format!("{}+{}", r.mount_path(), r.uri));
        next.run(w, r).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_mounted_mux_sees_what_is_left_of_the_clean_path_around_its_redirect() {
    let paths = Arc::default();
    let inner = ServeMux::new();
    inner.wrap(PathNoted(Arc::clone(&paths)));
    inner.handle("/x", hello);
    inner.handle("/tree/", hello);
    let mux = ServeMux::new();
    mux.mount("/in/ner", &inner);
    // A client takes dots out of its URLs by itself.
    for path in ["/a/b/../../in/ner/x", "/in/./ner/y/../x", "/in/../in/ner/./x"] {
        let recorded = testing::record(&mux, testing::request("GET", path)).await;
        assert_eq!(recorded.header.get("Location"), Some("/in/ner/x"), "{path}");
        assert_eq!(std::mem::take(&mut *paths.lock().unwrap()), ["/in/ner+/x"], "{path}");
    }
    on_all_sites(mux, async |site| {
        for (path, location, seen) in [
            ("/in/ner//x?q=1", "/in/ner/x?q=1", "/in/ner+/x?q=1"),
            ("/in//ner/x", "/in/ner/x", "/in/ner+/x"),
            ("/in/ner//none", "/in/ner/none", "/in/ner+/none"),
            ("/in/ner//tree", "/in/ner/tree/", "/in/ner+/tree"),
            ("/in/ner/tree", "/in/ner/tree/", "/in/ner+/tree"),
        ] {
            let mut request = site.request(Method::GET, path, ());
            let response = nethttp::RoundTripper::round_trip(&*site.transport, &mut request).await.unwrap();
            assert_eq!(response.header.get("Location"), Some(location), "{path}");
            let noted = std::mem::take(&mut *paths.lock().unwrap()).join(" ");
            // Over HTTP/2 the URL has its host.
            let host = site.url("");
            assert_eq!(noted.replace(&host, ""), seen, "{path}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn after_a_merge_404_and_405_below_a_group_stay_that_groups() {
    let inner = ServeMux::new();
    inner.wrap(Passed("inner"));
    let before = inner.group("/before");
    before.wrap(Passed("before"));
    before.not_found(own_404);
    before.handle("GET /x", hello);
    let mux = ServeMux::new();
    mux.merge(&inner);
    let after = inner.group("/after");
    after.wrap(Passed("after"));
    after.not_found(own_404);
    after.handle("GET /x", hello);
    on_all_sites(mux, async |site| {
        for (name, path) in [("before", "/before"), ("after", "/after")] {
            let none = site.get(&format!("{path}/none")).await.unwrap();
            assert_eq!(none.header.values("X-Passed").collect::<Vec<_>>(), ["inner", name]);
            assert_eq!(whole(Ok(none)).await, (404, format!("nothing at +{path}/none")));
            let wrong = site.post(&format!("{path}/x"), "").await.unwrap();
            assert_eq!(wrong.status.as_u16(), 405);
            assert_eq!(
                wrong.header.values("X-Passed").map(|of| of.split(' ').next().unwrap()).collect::<Vec<_>>(),
                ["inner", name]
            );
        }
        assert!(!site.get("/none").await.unwrap().header.contains("X-Passed"), "and no other's");
    })
    .await;
}
