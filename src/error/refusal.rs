//! Why a message is not accepted.

use http::StatusCode;

use super::{Error, ErrorKind};

/// Why the codec refuses a message, and the status to respond with. Every refusal closes the
/// connection, because it is not certain where the next message starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The status of the response.
    pub(crate) status: StatusCode,
    /// What is wrong: a fixed text, because input is never echoed.
    pub(crate) reason: &'static str,
}

impl Refusal {
    /// 400, with the reason.
    pub(crate) const fn bad(reason: &'static str) -> Refusal {
        Refusal { status: StatusCode::BAD_REQUEST, reason }
    }

    /// HTTP in the clear where TLS is served.
    #[allow(dead_code, reason = "only a server with TLS meets it")]
    pub(crate) const fn plain_http() -> Refusal {
        Refusal::bad("client sent an HTTP request to an HTTPS server")
    }

    /// Any other status, with the reason.
    pub(crate) const fn with(status: StatusCode, reason: &'static str) -> Refusal {
        Refusal { status, reason }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Error {
        Error::new(ErrorKind::Refused, refusal.reason).with_status(refusal.status)
    }
}
