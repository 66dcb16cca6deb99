//! actix-web 4 with one worker.

use actix_web::body::SizedStream;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use bytes::Bytes;
use peers::{HELLO, address};

fn main() -> std::io::Result<()> {
    let content = web::Data::new(Bytes::from_static(peers::big()));
    let app = move || {
        App::new()
            .app_data(content.clone())
            .route("/", web::get().to(hello))
            .route("/big", web::get().to(big))
            .route("/echo", web::post().to(echo))
    };
    actix_web::rt::System::new().block_on(HttpServer::new(app).workers(1).bind(address())?.run())
}

async fn hello() -> HttpResponse {
    HttpResponse::Ok().insert_header((CONTENT_TYPE, "text/plain")).body(HELLO)
}

async fn big(content: web::Data<Bytes>) -> HttpResponse {
    HttpResponse::Ok().insert_header((CONTENT_TYPE, "application/octet-stream")).body(content.get_ref().clone())
}

async fn echo(request: HttpRequest, content: web::Payload) -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    answer.insert_header((CONTENT_TYPE, "application/octet-stream"));
    let length = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    match length {
        Some(length) => answer.body(SizedStream::new(length, content)),
        None => answer.streaming(content),
    }
}
