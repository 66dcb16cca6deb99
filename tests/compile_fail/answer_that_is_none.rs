//! A function that returns what is no response.
//~ error[E0277]: `User` cannot be answered
//~ = note: text, bytes, `StatusCode`

use nethttp::{Request, ServeMux, respond};

struct User;

async fn user(_: &mut Request) -> User {
    User
}

fn main() {
    ServeMux::new().handle("/", respond(user));
}
