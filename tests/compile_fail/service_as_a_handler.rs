//! A service of tower where a handler is wanted.
//~ error[E0277]: `Service` is no handler
//~ = note: a handler is an `async fn(w: &mut ResponseWriter, r: &mut Request) -> Result<()>`
//~ a service of tower through `tower::handler(service)`

use nethttp::ServeMux;

struct Service;

fn main() {
    ServeMux::new().handle("GET /", Service);
}
