//! The seam between a client and what carries its requests.

use std::future::Future;
use std::pin::Pin;

use crate::error::Result;
use crate::message::{Request, Response};

/// Carries out one exchange: a request there, its response back (Go's `RoundTripper`).
///
/// It follows no redirect and keeps no cookie, leaves all of the request but its body as it is,
/// and answers with a response whatever its status. [`Transport`](crate::Transport) is the one that most clients
/// have; write another to put something around it, or in its place in a test.
///
/// ```
/// use std::sync::Arc;
/// use nethttp::client::RoundTripFuture;
/// use nethttp::{Client, Request, Response, RoundTripper};
///
/// struct Canned;
///
/// impl RoundTripper for Canned {
///     fn round_trip<'a>(&'a self, request: &'a mut Request) -> RoundTripFuture<'a> {
///         Box::pin(async move { Ok(Response::new(format!("you asked for {}", request.uri))) })
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> nethttp::Result<()> {
/// let mut client = Client::new();
/// client.transport = Arc::new(Canned);
/// let text = client.get("http://nowhere.test/").await?.text().await?;
/// assert_eq!(text, "you asked for http://nowhere.test/");
/// # Ok(())
/// # }
/// ```
pub trait RoundTripper: Send + Sync + 'static {
    /// Sends the request and waits for the head of the final response; its body may still be on
    /// its way. Dropped before it is done, it leaves nothing behind.
    ///
    /// The body may be taken out of the request. What is left there must be able to make it
    /// again if it was ([`Body::try_clone`](crate::Body::try_clone)).
    ///
    /// # Errors
    /// Whatever kept a response from coming.
    fn round_trip<'a>(&'a self, request: &'a mut Request) -> RoundTripFuture<'a>;

    /// Closes connections that are idle now.
    fn close_idle_connections(&self) {}
}

/// What [`RoundTripper::round_trip`] returns.
pub type RoundTripFuture<'a> = Pin<Box<dyn Future<Output = Result<Response>> + Send + 'a>>;
