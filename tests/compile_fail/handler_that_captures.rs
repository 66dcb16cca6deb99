//! A closure that captures what it could be given as a state.
//~ rustc: error: async closure does not implement `Fn` because it captures state from its environment
//~ rustc: to implement `nethttp::Handler`

use nethttp::{Request, ResponseWriter, ServeMux};

fn main() {
    let text = String::from("hello");
    ServeMux::new().handle("/", async move |w: &mut ResponseWriter, _: &mut Request| w.write(&text).await);
}
