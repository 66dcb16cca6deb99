//! A handler that is called where it should be named.
//~ error[E0277]: `String` is no handler
//~ not `async fn(&mut ResponseWriter, &mut Request) -> Result<()>`
//~ = note: a handler is an `async fn(w: &mut ResponseWriter, r: &mut Request) -> Result<()>`
//~ = note: a closure needs its argument types: `async |w: &mut ResponseWriter, r: &mut Request| …`
//~ = note: a function that returns its response goes through `respond(f)`

use nethttp::{Request, ResponseWriter, Result, ServeMux};

fn hello(_: &str) -> String {
    "hello".to_owned()
}

async fn page(_: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    Ok(())
}

fn main() {
    ServeMux::new().handle("/page", page);
    ServeMux::new().handle("/", hello("you"));
}
