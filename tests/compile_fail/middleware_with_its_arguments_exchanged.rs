//! A middleware whose arguments are in another order.
//~ rustc: error[E0631]: type mismatch in function arguments
//~ rustc: = note: expected function signature `fn(&mut ResponseWriter, &mut nethttp::Request, Next<'_>) -> _`
//~ rustc: to implement `Middleware`

use nethttp::{Next, Request, ResponseWriter, Result, ServeMux};

async fn log(next: Next<'_>, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    next.run(w, r).await
}

fn main() {
    ServeMux::new().wrap(log);
}
