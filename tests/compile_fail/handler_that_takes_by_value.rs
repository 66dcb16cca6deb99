//! A handler that wants to own what it is lent.
//~ rustc: error[E0631]: type mismatch in function arguments
//~ rustc: = note: expected function signature `fn(&mut ResponseWriter, &mut nethttp::Request) -> _`
//~ rustc: help: consider adjusting the signature so it borrows its arguments

use nethttp::{Request, ResponseWriter, Result, ServeMux};

async fn hello(mut w: ResponseWriter, _: Request) -> Result<()> {
    w.write("hello").await
}

fn main() {
    ServeMux::new().handle("/", hello);
}
