//! A function that returns its response, without `respond`.
//~ rustc: error[E0593]: function is expected to take 2 arguments, but it takes 1 argument
//~ rustc: to implement `nethttp::Handler`

use nethttp::{Request, ServeMux};

async fn hello(_: &mut Request) -> &'static str {
    "hello"
}

fn main() {
    ServeMux::new().handle("/", hello);
}
