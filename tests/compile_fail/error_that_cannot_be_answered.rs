//! An error that is no response, at a `?`.
//~ rustc: `?` couldn't convert the error: `NotToday: IntoResponse` is not satisfied

use nethttp::{Request, Result, ServeMux, respond};

struct NotToday;

fn report() -> Result<String, NotToday> {
    Err(NotToday)
}

async fn hello(_: &mut Request) -> Result<String> {
    Ok(report()?)
}

fn main() {
    ServeMux::new().handle("/", respond(hello));
}
