//! The forms in which a handler may be written: each one answers.

mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use nethttp::{Error, Handler, IntoResponse, Request, ResponseWriter, Result, ServeMux, StatusCode};
use nethttp::{handle, handle_with, respond};
use wire::{GET, exchange};

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

#[tokio::test(start_paused = true)]
async fn a_function_may_return_its_answer_or_an_error() {
    assert_eq!(says(respond(made)).await, "201 made 0 bytes");
    assert_eq!(says(respond(async |_: &mut Request| "text")).await, "200 text");
    let fails = async |_: &mut Request| Err::<&str, _>(Error::answer(StatusCode::IM_A_TEAPOT, "short and stout"));
    assert_eq!(says(respond(fails)).await, "418 418 I'm a teapot: short and stout\n");
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
