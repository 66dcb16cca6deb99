//! A middleware that drops the result of what it is around.
//~ rustc: to be a future that resolves to `Result<(), Error>`, but it resolves to `()`
//~ rustc: to implement `Middleware`

use nethttp::{Next, Request, ResponseWriter, ServeMux};

async fn log(w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) {
    _ = next.run(w, r).await;
}

fn main() {
    ServeMux::new().wrap(log);
}
