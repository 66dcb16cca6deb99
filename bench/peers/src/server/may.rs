//! may_minihttp with one worker. It cannot stream, so it has no `/echo`.

use std::io;

use may_minihttp::{HttpServer, HttpService, Request, Response};
use peers::{HELLO, address};

fn main() -> io::Result<()> {
    may::config().set_workers(1);
    let big = str::from_utf8(peers::big()).expect("it is all one letter");
    let server = HttpServer(Answers { big }).start(address())?;
    server.wait();
    Ok(())
}

#[derive(Clone)]
struct Answers {
    big: &'static str,
}

impl HttpService for Answers {
    fn call(&mut self, request: Request, response: &mut Response) -> io::Result<()> {
        match (request.method(), request.path()) {
            ("GET", "/") => {
                response.header("Content-Type: text/plain").body(HELLO);
            }
            ("GET", "/big") => {
                response.header("Content-Type: application/octet-stream").body(self.big);
            }
            _ => {
                response.status_code(404, "Not Found");
            }
        }
        Ok(())
    }
}
