//! Bounds on what a handler may be given.

use crate::error::Result;
use crate::message::Request;
use crate::server::{Handler, HandlerFuture, ResponseWriter};

/// Lets the handler read at most `limit` bytes of a request's content (Go's `MaxBytesHandler`).
///
/// The read that would go beyond fails with
/// [`ErrorKind::BodyTooLarge`](crate::ErrorKind::BodyTooLarge); a handler that returns that error
/// has 413 as its response. A length that is announced over the limit fails at the first read. 0 allows
/// no byte. Of several limits the smallest one holds; see [`Body::limit`](crate::Body::limit).
///
/// ```
/// use nethttp::middleware::max_bytes_handler;
/// use nethttp::{Request, ResponseWriter, Result, ServeMux};
///
/// async fn upload(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
///     let text = r.body.text().await?;
///     w.write(format!("{} bytes\n", text.len())).await
/// }
///
/// let mux = ServeMux::new();
/// mux.handle("POST /notes", max_bytes_handler(upload, 64 * 1024));
/// ```
pub fn max_bytes_handler(handler: impl Handler, limit: u64) -> impl Handler {
    MaxBytes { handler, limit }
}

struct MaxBytes<Inner> {
    handler: Inner,
    limit: u64,
}

impl<Inner: Handler> Handler for MaxBytes<Inner> {
    async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        r.body.limit(self.limit);
        self.handler.serve_http(w, r).await
    }

    fn serve_http_boxed<'a>(&'a self, w: &'a mut ResponseWriter, r: &'a mut Request) -> HandlerFuture<'a> {
        r.body.limit(self.limit);
        self.handler.serve_http_boxed(w, r)
    }
}
