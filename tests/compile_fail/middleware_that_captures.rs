//! A closure that captures what it could be given as a state.
//~ rustc: error: async closure does not implement `Fn` because it captures state from its environment
//~ rustc: to implement `Middleware`

use nethttp::{Next, Request, ResponseWriter, ServeMux};

fn main() {
    let name = String::from("example");
    ServeMux::new().wrap(async move |w: &mut ResponseWriter, r: &mut Request, next: Next<'_>| {
        w.header().set("Server", name.as_str());
        next.run(w, r).await
    });
}
