//! A struct that does not implement the trait.
//~ error[E0277]: `Log` is no middleware
//~ not `async fn(&mut ResponseWriter, &mut Request, Next<'_>) -> Result<()>`
//~ = note: a middleware is an `async fn(w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()>`, or a struct that implements `Middleware`
//~ = note: a closure needs its argument types
//~ = note: a function with a state goes through `middleware::with_state(state, f)`

use nethttp::{Handler, Request, ResponseWriter, Result};

struct Log;

async fn hello(w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    w.write("hello").await
}

fn main() {
    let _ = hello.wrapped_in(Log);
}
