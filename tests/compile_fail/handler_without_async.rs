//! A handler that is no `async fn`.
//~ rustc: error[E0277]: `Result<(), nethttp::Error>` is not a future
//~ rustc: to implement `nethttp::Handler`

use nethttp::{Request, ResponseWriter, Result, ServeMux};

fn hello(_: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    Ok(())
}

fn main() {
    ServeMux::new().handle("/", hello);
}
