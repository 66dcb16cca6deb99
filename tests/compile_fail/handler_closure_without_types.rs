//! A closure whose arguments have no types.
//~ rustc: error[E0282]: type annotations needed

use nethttp::ServeMux;

fn main() {
    ServeMux::new().handle("/", async |w, _| w.write("hello").await);
}
