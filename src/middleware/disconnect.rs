//! Handlers whose client has left.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use http::StatusCode;

use crate::error::{Error, ErrorKind, Result};
use crate::message::Request;
use crate::server::{Middleware, Next, ResponseWriter};

/// Drops a handler where it waits, when its client has left: for work that is of no use without anybody to
/// get its result, and can be abandoned at any `await`.
///
/// Without it a handler runs to its end, unless it watches
/// [`Context::cancelled`](crate::Context::cancelled). What may not be abandoned in the middle (a payment, two
/// files that belong together) must not be wrapped in it, or runs in a task of its own.
///
/// A client has left when it has closed the connection or reset the stream. In HTTP/1.1 one that has closed
/// only its sending half counts as gone too: browsers and libraries do not do so, some scripts do. A server
/// that shuts down drops no handler before its time of grace is over.
///
/// What stands around it gets an error of [`ErrorKind::RequestOver`](crate::ErrorKind::RequestOver) with the
/// status 499 (as nginx logs it), which nobody is there to read.
///
/// ```
/// use nethttp::middleware::DropOnDisconnect;
/// use nethttp::{Handler, Request, ResponseWriter, ServeMux};
///
/// async fn search(w: &mut ResponseWriter, _: &mut Request) -> nethttp::Result<()> {
///     # async fn slow_query() -> &'static str { "found" }
///     w.write(slow_query().await).await
/// }
///
/// let mux = ServeMux::new();
/// mux.handle("GET /search", search.wrapped_in(DropOnDisconnect));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct DropOnDisconnect;

impl Middleware for DropOnDisconnect {
    async fn handle(&self, w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
        let context = r.context().clone();
        let mut left = pin!(context.cancelled());
        let mut handling = next.run(w, r);
        poll_fn(|cx| {
            // The handler first: one that ends in the moment in which its client leaves has ended.
            match handling.as_mut().poll(cx) {
                Poll::Ready(result) => Poll::Ready(result),
                Poll::Pending => left.as_mut().poll(cx).map(|()| Err(client_left())),
            }
        })
        .await
    }
}

fn client_left() -> Error {
    let status = StatusCode::from_u16(499).expect("three digits are a status");
    Error::new(ErrorKind::RequestOver, "the client has left").with_status(status)
}
