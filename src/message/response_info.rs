//! What a client knows about how a response came.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode, Uri};

use super::connection::Addr;
use super::header::Header;

/// Beside a response: which connection it came over, when, and after which redirects.
#[derive(Clone, Debug, Default)]
pub(crate) struct ResponseInfo {
    /// Method and URL of the last request.
    pub(crate) request: Option<(Method, Uri)>,
    pub(crate) local_addr: Option<Addr>,
    pub(crate) remote_addr: Option<Addr>,
    pub(crate) reused: bool,
    pub(crate) timings: Timings,
    pub(crate) history: Vec<Redirected>,
    /// What the connection has become that speaks another protocol now; the client knows its type.
    pub(crate) switched: Option<Arc<dyn Any + Send + Sync>>,
}

/// When the steps of an exchange were done, each counted from its start. A step that was not
/// taken is `None`: a connection that was reused was neither resolved nor dialled for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timings {
    /// The name was resolved.
    pub resolved: Option<Duration>,
    /// The connection was made, to the proxy where there is one.
    pub connected: Option<Duration>,
    /// The TLS handshake was done.
    pub secured: Option<Duration>,
    /// There was a connection to use, new or idle.
    pub got_connection: Option<Duration>,
    /// The request's head was written.
    pub wrote_head: Option<Duration>,
    /// The whole request was written; `None` while its body is still on its way.
    pub wrote_request: Option<Duration>,
    /// The first byte of the response came.
    pub first_byte: Option<Duration>,
    /// The response's head was complete.
    pub head: Option<Duration>,
}

/// A response that led on to another request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Redirected {
    /// The URL of its request.
    pub url: Uri,
    /// The status of the response.
    pub status: StatusCode,
    /// The fields of the response; `Location` is among them.
    pub header: Header,
}

impl Redirected {
    pub(crate) fn new(url: Uri, status: StatusCode, header: Header) -> Redirected {
        Redirected { url, status, header }
    }
}
