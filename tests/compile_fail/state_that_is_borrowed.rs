//! A state that lives no longer than the function that makes it.
//~ rustc: error[E0631]: type mismatch in function arguments
//~ rustc: = note: expected function signature `fn(&&_, &mut ResponseWriter, &mut nethttp::Request) -> _`

use nethttp::{Request, ResponseWriter, Result, ServeMux, handle_with};

async fn greet(name: &str, w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    w.write(name).await
}

fn main() {
    let name = String::from("you");
    ServeMux::new().handle("/", handle_with(name.as_str(), greet));
}
