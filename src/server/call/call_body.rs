//! A call as a future of its response, and the body of that response.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::task::{Context as TaskContext, Poll, ready};

use super::call_io::CallContent;
use super::driver::CallDriver;
use crate::error::Result;
use crate::message::{Body, Frame, Request, Response, Source};
use crate::server::handler::Handler;
use crate::server::response::ResponseWriter;
use crate::server::server::Server;
use crate::server::settings::{CallSettings, Settings};

/// Calls a handler without a connection: a request there, its response back. This is how a handler runs
/// inside of another server, and how tests ask it without a socket.
///
/// The response is there when the handler has decided its head: at its first
/// [`flush`](ResponseWriter::flush), when it has written more than it can hold back, or at its end. The rest
/// of the content comes while the body is read. Trailers follow it ([`Body::trailer`]).
///
/// Everything is as over a connection: an error or a panic of the handler is answered, and reported. Of a request
/// that has come to a [`Server`](crate::Server), by whatever layers between, its
/// [`on_error`](crate::Server::on_error) and [`on_event`](crate::Server::on_event) are asked; of another one plain
/// text is answered, and the report goes to `tracing` or standard error. HEAD has no content; informational responses are left out; the connection
/// cannot be taken over ([`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported)). A `Date` is not added:
/// that is for whoever sends the response.
///
/// There is no task. The handler runs while its response is waited for, or its body read: up to 16 KiB of
/// content lie in between, then a write waits. Dropping the future or the body drops the handler, wherever
/// it is, and cancels the request's [`Context`](crate::Context).
///
/// A request may have been made by hand or come from another server. Its URL may have a host; the handler
/// sees it in [`Request::host`], and the path alone in [`Request::uri`], as it does behind a server.
///
/// # Errors
/// Where the handler ended without any response, with [`abort`](crate::server::abort). A response that breaks off
/// later is an error of its body ([`ErrorKind::CutOff`](crate::ErrorKind::CutOff)).
pub fn call<H: Handler>(handler: H, request: impl Into<Request>) -> Call {
    let request = request.into();
    let settings = settings_for(&request);
    let driver = CallDriver::new::<H, _>(settings, Arc::new(handler), request, None);
    Call { driver: Mutex::new(Some(driver)) }
}

/// Those of the server that the request has come to, wherever on its way this call is.
fn settings_for(request: &Request) -> Arc<Settings> {
    let of_call = request.extensions.get::<CallSettings>();
    let found = of_call.or_else(|| request.context().value::<CallSettings>());
    found.map_or_else(|| DEFAULT_SETTINGS.clone(), |CallSettings(settings)| settings.clone())
}

/// Those of a server that has none of its own: events go to the log.
static DEFAULT_SETTINGS: LazyLock<Arc<Settings>> = LazyLock::new(|| Arc::new(Server::new(unused).call_settings()));

async fn unused(_: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    Ok(())
}

/// The future of [`call`]: ready when the head of the response is decided.
#[must_use = "a handler runs only while its response is waited for"]
pub struct Call {
    /// Never locked, for `get_mut` is enough: the mutex makes it `Sync`, as bodies are.
    driver: Mutex<Option<CallDriver<'static>>>,
}

impl Future for Call {
    type Output = Result<Response>;

    /// # Panics
    /// After it was ready, as futures may.
    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Result<Response>> {
        let driver = self.driver.get_mut().unwrap_or_else(PoisonError::into_inner);
        let head = ready!(driver.as_mut().expect("not polled after it was ready").poll_head(cx));
        let driver = driver.take();
        let head = head?;
        let mut response = Response::new(Body::from_source(CallBody { driver: Mutex::new(driver), left: head.length }));
        response.status = head.status;
        response.header = head.header;
        response.content_length = head.length;
        Poll::Ready(Ok(response))
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").finish_non_exhaustive()
    }
}

/// Reads a response from its handler.
struct CallBody {
    /// `None` once all was read: with it goes what the handler held.
    driver: Mutex<Option<CallDriver<'static>>>,
    /// How much is still to come, where that is known.
    left: Option<u64>,
}

impl Source for CallBody {
    fn poll_frame(&mut self, cx: &mut TaskContext<'_>) -> Poll<Option<Result<Frame>>> {
        let slot = self.driver.get_mut().unwrap_or_else(PoisonError::into_inner);
        let Some(driver) = slot else { return Poll::Ready(None) };
        let content = ready!(driver.poll_content(cx));
        if !matches!(content, Ok(CallContent::Data(_))) {
            *slot = None;
        }
        Poll::Ready(match content {
            Ok(CallContent::Data(data)) => {
                self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
                Some(Ok(Frame::Data(data)))
            }
            Ok(CallContent::Trailer(trailer)) => Some(Ok(Frame::Trailer(trailer))),
            Ok(CallContent::End) => None,
            Err(error) => Some(Err(error)),
        })
    }

    fn remaining(&self) -> Option<u64> {
        self.left
    }
}
