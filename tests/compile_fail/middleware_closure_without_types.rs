//! A closure whose arguments have no types.
//~ rustc: error[E0282]: type annotations needed
//~ rustc: next.run(w, r)

use nethttp::ServeMux;

fn main() {
    ServeMux::new().wrap(async |w, r, next| next.run(w, r).await);
}
