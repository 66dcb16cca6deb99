//! The forms in which a handler may be written: each one answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use nethttp::server::{DEFAULT_MAX_HEADER_BYTES, DEFAULT_MAX_HEADER_VALUE_COUNT, OwnErrorFn, Protocols, err_into};
use nethttp::{
    Error, Handler, IntoResponse, Request, Response, ResponseWriter, Result, ServeMux, Server, StatusCode, handle,
    handle_with, respond, respond_with,
};

use crate::wire::{GET, Host, exchange, kept};

async fn function(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    w.write(format!("function on {}", r.path())).await
}

/// A future by hand, with the lifetimes written out.
fn returns_a_future<'a>(
    w: &'a mut ResponseWriter,
    _: &'a mut Request,
) -> impl Future<Output = Result<()>> + Send + use<'a> {
    w.write("future")
}

struct Counter(AtomicU32);

impl Handler for Counter {
    async fn serve_http(&self, w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
        w.write(format!("count {}", self.0.fetch_add(1, Ordering::SeqCst))).await
    }
}

async fn made(r: &mut Request) -> Result<impl IntoResponse + use<>> {
    let text = r.body.text().await?;
    Ok((StatusCode::CREATED, format!("made {} bytes", text.len())))
}

/// Status and content of the answer to a plain request.
async fn says(handler: impl Handler) -> String {
    let heard = exchange(handler, GET).await;
    let (head, content) = heard.text.split_once("\r\n\r\n").expect("an answer");
    format!("{} {content}", &head["HTTP/1.1 ".len()..][..3])
}

#[tokio::test(start_paused = true)]
async fn a_function_is_a_handler() {
    assert_eq!(says(function).await, "200 function on /");
    assert_eq!(says(returns_a_future).await, "200 future");
}

#[tokio::test(start_paused = true)]
async fn a_closure_that_captures_nothing_is_a_handler() {
    assert_eq!(says(async |w: &mut ResponseWriter, _: &mut Request| w.write("closure").await).await, "200 closure");
}

#[tokio::test(start_paused = true)]
async fn a_struct_with_a_state_is_a_handler_and_so_is_an_arc_of_one() {
    let counter = Arc::new(Counter(AtomicU32::new(7)));
    assert_eq!(says(counter.clone()).await, "200 count 7");
    assert_eq!(says(counter.clone()).await, "200 count 8");
    assert_eq!(says(Arc::new(counter)).await, "200 count 9");
    assert_eq!(says(Arc::new(function)).await, "200 function on /");
}

#[tokio::test(start_paused = true)]
async fn a_function_may_have_a_state_beside_it() {
    let with_state = async |greeting: &String, w: &mut ResponseWriter, _: &mut Request| w.write(greeting).await;
    assert_eq!(says(handle_with(String::from("good morning"), with_state)).await, "200 good morning");
}

struct App {
    greeting: String,
}

impl App {
    async fn index(&self, w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
        w.write(&self.greeting).await
    }

    async fn show(&self, r: &mut Request) -> Result<String> {
        let path = r.escaped_path();
        if path == "/" { Ok(format!("{} on {path}", self.greeting)) } else { Err(StatusCode::NOT_FOUND.into()) }
    }

    async fn shared(self: &Arc<App>, _: &mut Request) -> String {
        self.greeting.clone()
    }

    async fn fails(&self, _: &mut ResponseWriter, _: &mut Request) -> Result<(), NotToday> {
        Err(NotToday)
    }
}

struct NotToday;

impl IntoResponse for NotToday {
    fn into_response(self) -> Response {
        (StatusCode::SERVICE_UNAVAILABLE, "not today").into_response()
    }
}

#[tokio::test(start_paused = true)]
async fn methods_of_a_shared_application_are_handlers() {
    let app = Arc::new(App { greeting: "hello".into() });
    assert_eq!(says(handle_with(app.clone(), App::index)).await, "200 hello");
    assert_eq!(says(respond_with(app.clone(), App::show)).await, "200 hello on /");
    assert_eq!(says(respond_with(app.clone(), App::shared)).await, "200 hello");
    assert_eq!(
        says(respond_with(app, async |app: &App, _: &mut Request| app.greeting.len().to_string())).await,
        "200 5"
    );
    assert_eq!(says(handle_with(App { greeting: "alone".into() }, App::index)).await, "200 alone");
}

async fn fails(_: &mut ResponseWriter, _: &mut Request) -> Result<(), NotToday> {
    Err(NotToday)
}

async fn reads(w: &mut ResponseWriter, _: &mut Request) -> Result<(), std::io::Error> {
    std::fs::read("/there is no such file")?;
    w.write("read").await?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_handler_may_have_an_error_type_of_its_own() {
    assert_eq!(says(err_into(fails)).await, "503 not today");
    assert_eq!(says(err_into(reads)).await, "500 500 Internal Server Error\n");
    let app = Arc::new(App { greeting: String::new() });
    assert_eq!(says(handle_with(app, err_into(App::fails))).await, "503 not today");
    let closure = async |_: &mut ResponseWriter, _: &mut Request| -> Result<(), NotToday> { Err(NotToday) };
    assert_eq!(says(err_into(closure)).await, "503 not today");
}

#[test]
fn a_handlers_own_error_costs_its_future_no_room() {
    fn future_size<'a, F: OwnErrorFn<'a>>(_: &F) -> usize {
        size_of::<F::Future>()
    }
    fn plain_size<'a, F, Fut>(_: &F) -> usize
    where
        F: Fn(&'a mut ResponseWriter, &'a mut Request) -> Fut,
    {
        size_of::<Fut>()
    }
    assert_eq!(future_size(&reads), plain_size(&reads));
}

#[tokio::test(start_paused = true)]
async fn a_function_may_return_its_answer_or_an_error() {
    assert_eq!(says(respond(made)).await, "201 made 0 bytes");
    assert_eq!(says(respond(async |_: &mut Request| "text")).await, "200 text");
    let fails = async |_: &mut Request| Err::<&str, _>(Error::answer(StatusCode::IM_A_TEAPOT, "short and stout"));
    assert_eq!(says(respond(fails)).await, "418 short and stout");
    let foreign = async |_: &mut Request| "x".parse::<u32>().map(|number| number.to_string());
    assert_eq!(says(respond(foreign)).await, "500 500 Internal Server Error\n");
}

#[tokio::test(start_paused = true)]
async fn a_mux_is_a_handler_and_none_is_the_process_wide_one() {
    let mux = ServeMux::new();
    mux.handle("GET /{$}", function);
    assert_eq!(says(mux).await, "200 function on /");
    handle("GET /{$}", async |w: &mut ResponseWriter, _: &mut Request| w.write("everybody's").await);
    assert_eq!(says(None).await, "200 everybody's");
}

#[tokio::test(start_paused = true)]
async fn general_options_are_answered_without_a_handler_unless_that_is_switched_off() {
    let request = "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n";
    let answered = Host::new(function).connect().talk(request).await;
    assert_eq!(answered, kept("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nDate: -\r\n\r\n"));

    let handler = async |w: &mut ResponseWriter, r: &mut Request| w.write(r.request_uri.clone()).await;
    let host = Host::with(handler, |server| server.disable_general_options_handler = true);
    assert!(host.connect().talk(request).await.text.ends_with("\r\n\r\n*"));
}

#[test]
fn a_server_has_these_limits_by_default() {
    let server = Server::new(function);
    let limits = [server.read_timeout, server.write_timeout, server.read_header_timeout];
    assert_eq!(limits.map(|limit| limit.as_secs()), [0, 0, 10]);
    assert_eq!([server.idle_timeout, server.stall_timeout].map(|limit| limit.as_secs()), [120, 30]);
    assert_eq!((server.max_header_bytes, server.max_header_value_count), (1 << 20, 500));
    assert_eq!((DEFAULT_MAX_HEADER_BYTES, DEFAULT_MAX_HEADER_VALUE_COUNT), (1 << 20, 500));
    assert_eq!((server.max_connections, server.addr.as_str()), (0, ""));
    let protocols = Protocols { http1: true, http2: true, unencrypted_http2: true };
    assert_eq!(server.protocols, protocols);
}
