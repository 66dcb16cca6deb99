//! An API all of whose errors are JSON of one form: its own, those of requests that do not fit, and the server's.

use std::sync::Arc;

use nethttp::server::ErrorInfo;
use nethttp::{IntoResponse, Json, Request, Response, Result, ServeMux, Server, StatusCode, respond};

#[derive(serde::Serialize)]
struct Failure<'a> {
    code: &'a str,
    message: String,
}

/// The errors of this application.
enum AppError {
    OutOfStock { item: String },
    TooMany(u32),
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        let (status, code, message) = match self {
            AppError::OutOfStock { item } => (StatusCode::CONFLICT, "out_of_stock", format!("no {item} is left")),
            AppError::TooMany(max) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "too_many", format!("at most {max} at a time"))
            }
        };
        Json(Failure { code, message }).into_response().with_status(status)
    }
}

/// Everybody else's, in the same form: what the client may know of them, or the status alone.
fn as_json(failure: &ErrorInfo<'_>) -> Option<Response> {
    if failure.error.response().is_some() {
        return None; // one of ours, as it is
    }
    let message = failure.detail().map_or_else(|| failure.status.to_string(), str::to_owned);
    Some(Json(Failure { code: "http", message }).into_response().with_status(failure.status))
}

#[derive(serde::Deserialize)]
struct Order {
    item: String,
    count: u32,
}

async fn order(r: &mut Request) -> Result<String> {
    let Order { item, count } = r.json().await?;
    if count > 10 {
        Err(AppError::TooMany(10))?;
    }
    if item == "moon" {
        return Err(AppError::OutOfStock { item }.into());
    }
    Ok(format!("{count} {item}\n"))
}

fn server() -> Server {
    let mux = ServeMux::new();
    mux.handle("POST /orders", respond(order));
    let mut server = Server::new(mux);
    server.on_error = Some(Arc::new(as_json));
    server
}

// ------------------------------------------------------------ tried

#[tokio::test(start_paused = true)]
async fn every_error_is_json_of_this_form() {
    let started = nethttp::testing::Server::of(server()).in_memory().start();
    let order = |content: &str| Request::post(format!("{}/orders", started.url()), content.to_owned()).unwrap();
    let ask = async |request: Request| {
        let mut response = started.client().send(request).await.unwrap();
        (response.status.as_u16(), response.text().await.unwrap())
    };
    for (request, status, answer) in [
        (order(r#"{"item":"moon","count":1}"#), 409, r#"{"code":"out_of_stock","message":"no moon is left"}"#),
        (order(r#"{"item":"pen","count":11}"#), 422, r#"{"code":"too_many","message":"at most 10 at a time"}"#),
        (Request::get(format!("{}/orders", started.url())).unwrap(), 405, r#"{"code":"http","message":"#),
    ] {
        let request = request.with_header("Content-Type", "application/json");
        let (got, text) = ask(request).await;
        assert!(got == status && text.starts_with(answer), "{got} {text}");
    }
    let (status, text) = ask(order(r#"{"item":"pen"}"#).with_header("Content-Type", "application/json")).await;
    assert!(status == 400 && text.contains("count"), "the field is named: {text}");
}
