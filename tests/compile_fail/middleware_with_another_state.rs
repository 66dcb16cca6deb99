//! A function whose state is another one than it is given.
//~ rustc: error[E0631]: type mismatch in function arguments
//~ rustc: = note: expected function signature `fn(&u32, &mut ResponseWriter, &mut nethttp::Request, Next<'_>) -> _`
//~ rustc: found function signature `fn(&String, &mut ResponseWriter, &mut nethttp::Request, Next<'_>) -> _`
//~ rustc: note: required by a bound in `with_state`

use nethttp::middleware::with_state;
use nethttp::{Next, Request, ResponseWriter, Result, ServeMux};

async fn name(name: &String, w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
    w.header().set("Server", name.as_str());
    next.run(w, r).await
}

fn main() {
    ServeMux::new().wrap(with_state(7_u32, name));
}
