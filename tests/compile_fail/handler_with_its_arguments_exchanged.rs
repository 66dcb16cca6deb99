//! A handler whose arguments are in the other order.
//~ rustc: error[E0631]: type mismatch in function arguments
//~ rustc: = note: expected function signature `fn(&mut ResponseWriter, &mut nethttp::Request) -> _`

use nethttp::{Request, ResponseWriter, Result, ServeMux};

async fn hello(_: &mut Request, w: &mut ResponseWriter) -> Result<()> {
    w.write("hello").await
}

fn main() {
    ServeMux::new().handle("/", hello);
}
