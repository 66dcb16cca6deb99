//! What probes are told, over every protocol.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nethttp::server::{Readiness, liveness};
use nethttp::{Context, Request, ResponseWriter, ServeMux};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::site::{Site, in_all_modes, whole};
use crate::support::{millis, secs};

#[tokio::test(start_paused = true)]
async fn a_server_is_ready_while_its_checks_pass_and_lives_in_any_case() {
    in_all_modes(async |mode| {
        let database = Arc::new(AtomicBool::new(true));
        let seen = database.clone();
        let ready = Readiness::new()
            .check("database\nx", move || {
                let is_up = seen.load(Ordering::SeqCst);
                async move { if is_up { Ok(()) } else { Err("secret") } }
            })
            .check("cache", async || Ok::<(), Infallible>(()));
        let mux = ServeMux::new();
        mux.handle("GET /readyz", ready);
        mux.handle("GET /healthz", liveness());
        let site = Site::start(mode, mux);
        assert_eq!(whole(site.get("/readyz").await).await, (200, "database\\nx: ok\ncache: ok\n".into()));
        database.store(false, Ordering::SeqCst);
        assert_eq!(whole(site.get("/readyz").await).await, (503, "database\\nx: failed\ncache: ok\n".into()));
        assert_eq!(whole(site.get("/healthz").await).await, (200, "ok\n".into()));
        let response = site.get("/readyz").await.unwrap();
        assert_eq!(response.header.get("Cache-Control"), Some("no-store"));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn checks_run_at_once_and_have_their_time() {
    in_all_modes(async |mode| {
        let slow = || async {
            pending::<()>().await;
            Ok::<(), Infallible>(())
        };
        let mux = ServeMux::new();
        mux.handle("GET /readyz", Readiness::new().check("a", slow).check("b", slow).timeout(millis(500)));
        let site = Site::start(mode, mux);
        let began = Instant::now();
        assert_eq!(whole(site.get("/readyz").await).await, (503, "a: timed out\nb: timed out\n".into()));
        let took = began.elapsed();
        assert!(took >= millis(500) && took < millis(600), "{took:?}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_drains_is_not_ready_and_lives() {
    in_all_modes(async |mode| {
        let (reached, asked) = (Arc::new(Notify::new()), Readiness::new());
        let told = reached.clone();
        // Asked within a request that the shutdown waits for: the way of a probe on a connection that is kept.
        let inner = ServeMux::new();
        inner.handle("GET /readyz", asked);
        inner.handle("GET /healthz", liveness());
        let inner = Arc::new(inner);
        let waits = nethttp::handle_with((told, inner), during_the_drain);
        let site = Arc::new(Site::start(mode, waits));
        let (first, second) = (site.clone(), site.clone());
        let ready = tokio::spawn(async move { whole(first.get("/readyz").await).await });
        reached.notified().await;
        let lives = tokio::spawn(async move { whole(second.get("/healthz").await).await });
        reached.notified().await;
        site.server.shutdown(secs(30)).await;
        assert_eq!(ready.await.unwrap(), (503, "draining\n".into()));
        assert_eq!(lives.await.unwrap(), (200, "ok\n".into()));
    })
    .await;
}

async fn during_the_drain(
    (reached, inner): &(Arc<Notify>, Arc<ServeMux>),
    w: &mut ResponseWriter,
    r: &mut Request,
) -> nethttp::Result<()> {
    reached.notify_one();
    Context::draining(r.context()).await;
    nethttp::Handler::serve_http(inner, w, r).await
}
