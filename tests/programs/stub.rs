//! Code that calls a service, tested without that service: the transport is a stub.

use std::sync::Mutex;

use nethttp::client::RoundTripFuture;
use nethttp::{Client, Request, Response, Result, RoundTripper, StatusCode};

/// What is to be tested: it asks twice where the service is busy.
async fn temperature(client: &Client, city: &str) -> Result<f64> {
    let mut tries = 0;
    loop {
        let request = Request::get("https://weather.example/now")?.with_query([("city", city)])?;
        let mut response = client.send(request).await?;
        tries += 1;
        if response.status != StatusCode::SERVICE_UNAVAILABLE || tries == 2 {
            response = response.error_for_status()?;
            return response.json().await;
        }
    }
}

/// Answers by a function, and remembers what it was asked.
struct Stub<F> {
    asked: Mutex<Vec<String>>,
    answer: F,
}

impl<F: Fn(&Request, usize) -> Response + Send + Sync + 'static> RoundTripper for Stub<F> {
    fn round_trip<'a>(&'a self, request: &'a mut Request) -> RoundTripFuture<'a> {
        let mut asked = self.asked.lock().unwrap();
        asked.push(format!("{} {}", request.method, request.uri));
        let response = (self.answer)(request, asked.len());
        Box::pin(async { Ok(response) })
    }
}

fn stubbed(answer: impl Fn(&Request, usize) -> Response + Send + Sync + 'static) -> Client {
    Client::with_transport(Stub { asked: Mutex::default(), answer })
}

// ------------------------------------------------------------ tried

#[tokio::test]
async fn a_busy_service_is_asked_twice() {
    let busy = || Response::new("busy").with_status(StatusCode::SERVICE_UNAVAILABLE);
    let client = stubbed(move |request, count| match count {
        1 => busy(),
        _ => Response::new(if request.uri.query() == Some("city=Bern") { "21.5" } else { "0" }),
    });
    assert_eq!(temperature(&client, "Bern").await.unwrap(), 21.5);
    let error = temperature(&stubbed(move |_, _| busy()), "Bern").await.unwrap_err();
    assert_eq!(error.status(), Some(StatusCode::SERVICE_UNAVAILABLE));
}
