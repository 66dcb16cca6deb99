//! A handler that lacks its second argument.
//~ rustc: error[E0593]: function is expected to take 2 arguments, but it takes 1 argument
//~ rustc: to implement `nethttp::Handler`

use nethttp::{ResponseWriter, Result, ServeMux};

async fn hello(w: &mut ResponseWriter) -> Result<()> {
    w.write("hello").await
}

fn main() {
    ServeMux::new().handle("/", hello);
}
