//! A function that writes, where one that returns its response is wanted.
//~ rustc: error[E0593]: function is expected to take 1 argument, but it takes 2 arguments
//~ rustc: note: required by a bound in `respond`

use nethttp::{Request, ResponseWriter, Result, ServeMux, respond};

async fn hello(w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    w.write("hello").await
}

fn main() {
    ServeMux::new().handle("/", respond(hello));
}
