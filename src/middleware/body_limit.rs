//! How much content a request may have.

use crate::error::Result;
use crate::message::{BodyAllowance, Request};
use crate::server::{HandlerFuture, Middleware, Next, ResponseWriter};

/// Lets handlers read at most so many bytes of a request's content.
///
/// A handler that reads more gets an error of [`ErrorKind::BodyTooLarge`](crate::ErrorKind::BodyTooLarge), and if it
/// returns that, 413 is the response. A `Content-Length` over the limit fails at the first read: before a byte of the
/// content is waited for, and before a client that waits for `100 Continue` is told to send it. A handler that reads
/// nothing is not bothered.
///
/// **Of several, the innermost counts**, be it smaller or larger: a small limit around a mux, a larger one around
/// the route for uploads. Limits that a handler or
/// [`max_bytes_handler`](super::max_bytes_handler) sets count besides: of those and this one the smallest.
///
/// 0 allows no byte. Without a limit a handler that reads all content at once reads 10 MiB at most, see
/// [`Body`](crate::Body); a limit set here takes the place of that.
///
/// ```
/// use nethttp::middleware::BodyLimit;
/// use nethttp::{Handler, Request, ResponseWriter, Result, ServeMux};
///
/// async fn upload(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
///     let mut length = 0;
///     while let Some(chunk) = r.body.chunk().await? {
///         length += chunk.len();
///     }
///     w.write(format!("{length} bytes\n")).await
/// }
///
/// let mux = ServeMux::new();
/// mux.handle("POST /upload", upload.wrapped_in(BodyLimit::new(1 << 30)));
/// mux.wrap(BodyLimit::new(64 * 1024));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimit {
    bytes: u64,
}

/// In the extensions of a request: what was allowed before the last limit of this kind.
#[derive(Clone)]
struct Before(Option<BodyAllowance>);

impl BodyLimit {
    /// At most so many bytes.
    pub fn new(bytes: u64) -> BodyLimit {
        BodyLimit { bytes }
    }
}

impl BodyLimit {
    fn begin(&self, r: &mut Request) {
        let around = r.extensions.get::<Before>().map(|before| before.0);
        let before = r.body.limit_in_layer(self.bytes, around);
        r.extensions.insert(Before(before));
    }
}

impl Middleware for BodyLimit {
    async fn handle(&self, w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
        self.begin(r);
        next.run(w, r).await
    }

    // Done before what it is around begins, so it needs no future of its own.
    fn handle_boxed<'a>(&'a self, w: &'a mut ResponseWriter, r: &'a mut Request, next: Next<'a>) -> HandlerFuture<'a> {
        self.begin(r);
        next.run(w, r)
    }
}
