//! A function that takes its state by value, as it is given.
//~ rustc: error[E0631]: type mismatch in function arguments
//~ rustc: = note: expected function signature `fn(&_, &mut ResponseWriter, &mut nethttp::Request) -> _`
//~ rustc: help: consider adjusting the signature so it borrows its argument

use std::sync::Arc;

use nethttp::{Request, ResponseWriter, Result, ServeMux, handle_with};

struct App;

async fn index(_: Arc<App>, w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    w.write("hello").await
}

fn main() {
    ServeMux::new().handle("/", handle_with(Arc::new(App), index));
}
