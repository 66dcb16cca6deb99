//! `RequestId`, `RequestFields` and `ResponseFields`.

use nethttp::middleware::{RequestFields, RequestId, ResponseFields};
use nethttp::{Method, Request, ResponseWriter, Result, ServeMux};

use crate::site::{Site, in_all_modes, whole};
use crate::{Fields, answer, ask, field, from_test_peer, get};

/// Answers with the id that a handler sees, which is the one in the header.
async fn show_id(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let id = RequestId::of(r).unwrap_or("none").to_owned();
    assert_eq!(r.header.values("X-Request-Id").collect::<Vec<_>>(), [id.as_str()]);
    w.write(id).await
}

fn site(mode: crate::site::Mode, ids: RequestId) -> Site {
    let mux = ServeMux::new();
    mux.handle("GET /id", show_id);
    mux.handle("GET /", answer);
    mux.wrap(from_test_peer);
    mux.wrap(ids);
    Site::start(mode, mux)
}

const PROXY: (&str, &str) = ("X-Test-Peer", "10.0.0.1");
const STRANGER: (&str, &str) = ("X-Test-Peer", "1.1.1.1");

#[tokio::test(start_paused = true)]
async fn every_response_has_the_id_that_the_handler_has_seen() {
    in_all_modes(async |mode| {
        let site = site(mode, RequestId::new());
        let response = get(&site, "/id", &[]).await;
        let sent = field(&response.header, "X-Request-Id");
        assert_eq!(whole(Ok(response)).await, (200, sent.clone()));
        assert!(sent.len() == 36 && sent.as_bytes()[14] == b'7', "{sent}");
        let mut ids = vec![sent];
        for (method, path) in [(Method::GET, "/error"), (Method::GET, "/panic"), (Method::POST, "/id")] {
            ids.push(field(&ask(&site, method, path, &[]).await.header, "X-Request-Id"));
        }
        assert!(ids.iter().all(|id| id.len() == 36), "{ids:?}");
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 4, "each request has its own");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_id_is_taken_from_a_proxy_and_from_nobody_else() {
    in_all_modes(async |mode| {
        let site = site(mode, RequestId::new().accept_from(["10.0.0.0/8"]));
        let id = ("X-Request-Id", "trace-1");
        let cases: [(Fields<'_>, bool); 7] = [
            (&[PROXY, id], true),
            (&[STRANGER, id], false),
            (&[id], false),
            (&[PROXY, ("X-Request-Id", "a b")], false),
            (&[PROXY, ("X-Request-Id", "")], false),
            (&[PROXY, id, ("X-Request-Id", "trace-2")], false),
            (&[STRANGER, id, ("X-Forwarded-For", "10.0.0.1")], false),
        ];
        for (fields, taken) in cases {
            let (status, text) = whole(Ok(get(&site, "/id", fields).await)).await;
            assert_eq!((status, text == "trace-1"), (200, taken), "{fields:?}: {text}");
            assert!(taken || text.len() == 36, "{fields:?}: {text}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn ids_can_be_made_by_a_function_and_stand_in_another_field() {
    in_all_modes(async |mode| {
        let ids = RequestId::new().header("Trace").accept_from_anybody().make(|r| format!("of-{}", r.method));
        let site = site(mode, ids);
        assert_eq!(field(&get(&site, "/", &[]).await.header, "Trace"), "of-GET");
        assert_eq!(field(&get(&site, "/", &[("Trace", "mine")]).await.header, "Trace"), "mine");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn fields_are_changed_behind_the_handler_and_on_errors_too() {
    in_all_modes(async |mode| {
        let handler = async |w: &mut ResponseWriter, r: &mut Request| {
            w.header().set("Server", "mine");
            w.header().set("X-Powered-By", "mine");
            w.header().set("Cache-Control", "max-age=60");
            answer(w, r).await
        };
        let mux = ServeMux::new();
        mux.handle("GET /", handler);
        mux.wrap(
            ResponseFields::new()
                .set("Server", "ours")
                .set_if_absent("Cache-Control", "no-store")
                .add("Link", "<a>")
                .add("Link", "<b>")
                .del("X-Powered-By"),
        );
        let site = Site::start(mode, mux);
        for (method, path, status, cache) in [
            (Method::GET, "/", 200, "max-age=60"),
            (Method::GET, "/large", 200, "max-age=60"),
            (Method::GET, "/error", 418, "no-store"),
            (Method::GET, "/panic", 500, "no-store"),
            (Method::POST, "/", 405, "no-store"),
        ] {
            let response = ask(&site, method, path, &[]).await;
            let found = ["Server", "Cache-Control", "Link", "X-Powered-By"].map(|name| field(&response.header, name));
            assert_eq!((response.status.as_u16(), found), (status, ["ours", cache, "<a>, <b>", ""].map(String::from)));
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn fields_of_a_request_are_changed_before_the_handler() {
    in_all_modes(async |mode| {
        let show = async |w: &mut ResponseWriter, r: &mut Request| {
            let found = ["X-User", "X-Kind", "X-List"].map(|name| field(&r.header, name));
            w.write(found.join("|")).await
        };
        let mux = ServeMux::new();
        mux.handle("/", show);
        mux.wrap(RequestFields::new().del("X-User").set_if_absent("X-Kind", "plain").add("X-List", "ours"));
        let site = Site::start(mode, mux);
        let fields = [("X-User", "root"), ("x-user", "root"), ("X-List", "theirs")];
        assert_eq!(whole(Ok(get(&site, "/", &fields).await)).await.1, "|plain|theirs, ours");
        assert_eq!(whole(Ok(get(&site, "/", &[("X-Kind", "own")]).await)).await.1, "|own|ours");
    })
    .await;
}
