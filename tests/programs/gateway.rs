//! A service that asks two others at once, gives up in time, and tells its client no more than it should.

use std::sync::Arc;
use std::time::Duration;

use nethttp::middleware::{ConcurrencyLimit, Timeout};
use nethttp::{Client, Error, Json, Request, Result, ServeMux, StatusCode, respond_with};
use serde_json::{Value, json};

struct Gateway {
    client: Client,
    users: String,
    orders: String,
}

impl Gateway {
    async fn fetch(&self, url: String) -> Result<Value> {
        self.client.get(url).await?.error_for_status()?.json().await
    }

    async fn profile(&self, r: &mut Request) -> Result<Json<Value>> {
        let id: u32 = r.path_parse("id")?;
        let user = self.fetch(format!("{}/users/{id}", self.users));
        let orders = self.fetch(format!("{}/orders?user={id}", self.orders));
        let (user, orders) = tokio::join!(user, orders);
        let user = user.map_err(|error| match error.status() {
            Some(StatusCode::NOT_FOUND) => Error::answer(StatusCode::NOT_FOUND, "there is no such user"),
            _ => error.with_status(StatusCode::BAD_GATEWAY),
        })?;
        // The page is of use without the orders.
        Ok(Json(json!({ "user": user, "orders": orders.unwrap_or(Value::Null) })))
    }
}

fn service(client: Client, users: &str, orders: &str) -> ServeMux {
    let gateway = Gateway { client, users: users.to_owned(), orders: orders.to_owned() };
    let mux = ServeMux::new();
    mux.handle("GET /profiles/{id}", respond_with(Arc::new(gateway), Gateway::profile));
    mux.wrap(ConcurrencyLimit::new(100).queue(100, Duration::from_secs(1)));
    mux.wrap(Timeout::new(Duration::from_secs(5)));
    mux
}

// ------------------------------------------------------------ tried

#[tokio::test(start_paused = true)]
async fn what_one_of_the_others_does_wrong_is_not_the_clients() {
    use nethttp::testing::{Server, record, request};
    use nethttp::{Response, respond};
    async fn other(r: &mut Request) -> Result<Response> {
        match &*r.path() {
            "/users/1" => Ok(Response::new(r#"{"name":"Anna"}"#)),
            "/users/2" => Err(Error::other("secret words of the database")),
            "/users/3" => {
                tokio::time::sleep(Duration::from_secs(60)).await;
                Ok(Response::new("late"))
            }
            _ => Err(Error::answer(StatusCode::NOT_FOUND, "nothing")),
        }
    }
    let others =
        Server::builder(respond(other)).in_memory().configure(|server| server.on_event = Some(Arc::new(|_| {})));
    let others = others.start();
    let mux = service(others.client(), others.url(), others.url());
    for (path, status, text) in [
        ("/profiles/1", 200, r#"{"orders":null,"user":{"name":"Anna"}}"#),
        ("/profiles/2", 502, "502 Bad Gateway\n"),
        ("/profiles/3", 503, ""),
        ("/profiles/4", 404, "there is no such user"),
        ("/profiles/x", 400, ""),
    ] {
        let recorded = record(&mux, request("GET", path)).await;
        assert_eq!(recorded.status.as_u16(), status, "{path}");
        assert!(recorded.text().contains(text), "{path}: {}", recorded.text());
        assert!(!recorded.text().contains("secret"), "{path}");
    }
}
