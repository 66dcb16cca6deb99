//! A handler that writes, and returns text as well.
//~ rustc: to be a future that resolves to `Result<(), Error>`, but it resolves to `Result<String, Error>`
//~ rustc: to implement `nethttp::Handler`

use nethttp::{Request, ResponseWriter, Result, ServeMux};

async fn hello(_: &mut ResponseWriter, _: &mut Request) -> Result<String> {
    Ok("hello".to_owned())
}

fn main() {
    ServeMux::new().handle("/", hello);
}
