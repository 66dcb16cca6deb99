//! Requests whose content was compressed.

use std::mem;

use http::StatusCode;

use crate::error::{Error, Result};
use crate::message::coding::{decoded_request, request_encodings};
use crate::message::{Body, DEFAULT_MAX_TEXT_BYTES, Request};
use crate::server::{HandlerFuture, Middleware, Next, ResponseWriter};

/// Takes the codings off the content of requests that say by `Content-Encoding` that it has some: gzip and
/// deflate, and with the features `brotli` and `zstd` those too, several on top of each other as well.
///
/// Inside of it [`Request::body`] is the decoded content, `Content-Encoding` and `Content-Length` are gone,
/// and [`Request::content_length`] is `None`. That stays so for what stands around it, when the handler is
/// done. A request without a coding goes through untouched.
///
/// A coding that is not known, or more than five, is refused with 415, with what is known in `Accept-Encoding`
/// (RFC 7694 §3), before any content is read. Content that is not what it is said to be, is cut off or has
/// something behind its end fails when it is read, with
/// [`ErrorKind::Decode`](crate::ErrorKind::Decode); a handler that returns that error has 400 as its response.
///
/// A few bytes may decode to very many. Content is decoded only as it is read, 64 KiB at a time, and
///
/// - [`max_bytes`](Self::max_bytes) of it at most, 10 MiB by default;
/// - to at most [`max_ratio`](Self::max_ratio) times its size, 100 by default, once it is over 1 MiB. Each of
///   several codings is held to that.
///
/// Beyond either the read fails with [`ErrorKind::BodyTooLarge`](crate::ErrorKind::BodyTooLarge), which
/// becomes a 413. A limit that was set around it, on the body, counts coded bytes.
///
/// ```
/// use nethttp::middleware::Decompression;
/// use nethttp::{Request, ResponseWriter, ServeMux};
///
/// let mux = ServeMux::new();
/// mux.wrap(Decompression::new().max_bytes(64 << 20));
/// mux.handle("POST /events", async |w: &mut ResponseWriter, r: &mut Request| {
///     let text = r.body.text().await?;
///     w.write(format!("{} lines\n", text.lines().count())).await
/// });
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Decompression {
    max_bytes: u64,
    max_ratio: u64,
}

impl Default for Decompression {
    fn default() -> Decompression {
        Decompression::new()
    }
}

impl Decompression {
    /// With the bounds that are described above.
    pub fn new() -> Decompression {
        Decompression { max_bytes: DEFAULT_MAX_TEXT_BYTES, max_ratio: 100 }
    }

    /// Sets how many bytes of decoded content may be read. 0 allows none.
    #[must_use]
    pub fn max_bytes(self, bytes: u64) -> Decompression {
        Decompression { max_bytes: bytes, ..self }
    }

    /// Sets how many times as large as it came content of more than 1 MiB may become. `u64::MAX` is no bound;
    /// 0 allows nothing beyond that mebibyte. gzip makes at most some 1000 bytes of one, Brotli and Zstandard
    /// many more; text seldom more than 20.
    #[must_use]
    pub fn max_ratio(self, ratio: u64) -> Decompression {
        Decompression { max_ratio: ratio, ..self }
    }

    fn begin(self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        if !r.header.contains("Content-Encoding") {
            return Ok(());
        }
        match decoded_request(mem::replace(&mut r.body, Body::empty()), &r.header, self.max_ratio, self.max_bytes) {
            Ok(body) => {
                r.body = body;
                r.body.limit(self.max_bytes);
                r.header.del("Content-Encoding");
                r.header.del("Content-Length");
                r.content_length = None;
                Ok(())
            }
            Err(body) => {
                r.body = body;
                w.header().set("Accept-Encoding", request_encodings());
                Err(Error::answer(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the content has a coding that is not known"))
            }
        }
    }
}

impl Middleware for Decompression {
    async fn handle(&self, w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
        self.begin(w, r)?;
        next.run(w, r).await
    }

    fn handle_boxed<'a>(&'a self, w: &'a mut ResponseWriter, r: &'a mut Request, next: Next<'a>) -> HandlerFuture<'a> {
        match self.begin(w, r) {
            Ok(()) => next.run(w, r),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }
}
