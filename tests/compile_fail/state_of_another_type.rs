//! A method of one type, with a state of another.
//~ error[E0277]: `Arc<Other>` is no state for a function that takes `&App`
//~ note: the state is what the function takes by reference, or an `Arc` of that

use std::sync::Arc;

use nethttp::{Request, ServeMux, respond_with};

struct App;

struct Other;

impl App {
    async fn index(&self, _: &mut Request) -> &'static str {
        "hello"
    }
}

fn main() {
    ServeMux::new().handle("/", respond_with(Arc::new(App), App::index));
    ServeMux::new().handle("/", respond_with(Arc::new(Other), App::index));
}
