//! Layers of tower around handlers: what the server is asked and told of the handler behind them.
#![cfg(feature = "tower")]

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use nethttp::server::{ErrorInfo, problem_details};
use nethttp::tower::{HandlerService, layered};
use nethttp::{Body, Error, Handler, Request, ResponseWriter, Result, ServeMux, StatusCode, testing};
use tower_layer::Layer;
use tower_service::Service;

use crate::site::{Site, in_all_modes};

/// A layer that does nothing.
#[derive(Clone)]
struct Through;

#[derive(Clone)]
struct ThroughService<S>(S);

impl<S> Layer<S> for Through {
    type Service = ThroughService<S>;

    fn layer(&self, inner: S) -> ThroughService<S> {
        ThroughService(inner)
    }
}

impl<S: Service<http::Request<Body>, Error = Infallible>> Service<http::Request<Body>> for ThroughService<S> {
    type Response = S::Response;
    type Error = Infallible;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> S::Future {
        self.0.call(request)
    }
}

fn failing() -> ServeMux {
    let mux = ServeMux::new();
    mux.handle("/error", async |_: &mut ResponseWriter, _: &mut Request| Err(Error::other("lost")));
    mux.handle("/answer", async |_: &mut ResponseWriter, _: &mut Request| {
        Err(Error::answer(StatusCode::CONFLICT, "taken"))
    });
    mux.handle("/panic", async |_: &mut ResponseWriter, _: &mut Request| -> Result<()> { panic!("on purpose") });
    mux
}

fn in_layers(handler: impl Handler) -> impl Handler {
    layered(Through, layered(Through, handler))
}

#[tokio::test(start_paused = true)]
async fn a_failure_behind_layers_is_reported_and_answered_once_as_any_other() {
    in_all_modes(async |mode| {
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let ended: Arc<Mutex<Vec<String>>> = Arc::default();
        let (seen, records) = (asked.clone(), ended.clone());
        let set = |server: &mut nethttp::Server| {
            server.on_error = Some(Arc::new(move |failure: &ErrorInfo<'_>| {
                let target = failure.request.map(|request| request.request_uri.clone()).unwrap_or_default();
                seen.lock().unwrap().push(format!("{} {target}", failure.status.as_u16()));
                problem_details(failure)
            }));
            server.on_request = Some(Arc::new(move |record| records.lock().unwrap().push(record.target.clone())));
        };
        let site = Site::with(mode, in_layers(failing()), set, |_| {});
        for (path, status, report) in [
            ("/error", 500, Some("lost")),
            ("/answer", 409, Some("taken")),
            ("/panic", 500, Some("on purpose")),
            ("/none", 404, None),
        ] {
            let before = site.events().await.len();
            let response = site.get(path).await.unwrap();
            assert_eq!(response.header.get("Content-Type"), Some("application/problem+json"), "{path}");
            assert_eq!(response.status.as_u16(), status, "{path}");
            drop(response);
            let events = site.events().await;
            let reports: Vec<_> =
                events[before..].iter().filter(|event| event.contains(&format!("GET {path}"))).collect();
            assert_eq!(reports.len(), usize::from(report.is_some()), "{events:?}");
            assert!(report.is_none_or(|report| reports[0].contains(report)), "{reports:?}");
            assert_eq!(std::mem::take(&mut *asked.lock().unwrap()), [format!("{status} {path}")]);
            assert_eq!(std::mem::take(&mut *ended.lock().unwrap()), [path]);
        }
    })
    .await;
}

#[tokio::test]
async fn a_recorded_response_has_the_error_of_a_handler_behind_layers() {
    let recorded = testing::record(&in_layers(failing()), testing::request("GET", "/error")).await;
    assert_eq!(recorded.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(recorded.error.unwrap().to_string(), "lost");
}

#[tokio::test]
async fn a_service_that_no_server_is_behind_answers_plain_text() {
    let mut service = HandlerService::new(failing());
    let request = http::Request::get("http://a.test/none").body(Body::empty()).unwrap();
    let response = service.call(request).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
}
