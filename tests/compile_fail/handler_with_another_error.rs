//! A handler with an error of its own that is not said to be one.
//~ rustc: to be a future that resolves to `Result<(), Error>`
//~ rustc: to implement `nethttp::Handler`

use nethttp::{IntoResponse, Request, Response, ResponseWriter, ServeMux, StatusCode};

struct NotToday;

impl IntoResponse for NotToday {
    fn into_response(self) -> Response {
        StatusCode::SERVICE_UNAVAILABLE.into_response()
    }
}

async fn hello(_: &mut ResponseWriter, _: &mut Request) -> Result<(), NotToday> {
    Err(NotToday)
}

fn main() {
    ServeMux::new().handle("/", nethttp::server::err_into(hello));
    ServeMux::new().handle("/", hello);
}
