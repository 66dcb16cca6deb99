//! What an `on_error` hook sees of a failure, and what of an error the peer may see.

use http::StatusCode;

use crate::error::{Error, ErrorKind};
use crate::message::{Addr, Request};

/// A failure whose response is about to be written: what [`Server::on_error`](crate::Server::on_error) sees of it.
#[derive(Debug)]
#[non_exhaustive]
pub struct ErrorInfo<'a> {
    /// What went wrong. It may say more than the peer should see: [`detail`](Self::detail) is what it may.
    pub error: &'a Error,
    /// The status of the response, unless the hook gives another one.
    pub status: StatusCode,
    /// The request; `None` where its head was refused, and where its handler still runs and has it (a
    /// response that is late at [`write_timeout`](crate::Server::write_timeout)).
    pub request: Option<&'a Request>,
    /// Where it came from.
    pub remote_addr: &'a Addr,
}

impl<'a> ErrorInfo<'a> {
    pub(crate) fn of(request: &'a Request, error: &'a Error, status: StatusCode) -> ErrorInfo<'a> {
        ErrorInfo { error, status, request: Some(request), remote_addr: &request.remote_addr }
    }

    /// The message of the error, where it is meant for the peer: the handler has written it for the peer
    /// ([`Error::answer`]), or the peer is the cause. It has nothing of the peer's own input in it unless
    /// the handler has put it there.
    pub fn detail(&self) -> Option<&str> {
        detail_of(self.error)
    }
}

pub(super) fn detail_of(error: &Error) -> Option<&str> {
    let is_meant = matches!(
        error.kind(),
        ErrorKind::Answer
            | ErrorKind::Refused
            | ErrorKind::BodyTooLarge
            | ErrorKind::Malformed
            | ErrorKind::NotMultipart
            | ErrorKind::MissingBoundary
            | ErrorKind::MissingFile
    );
    // Of what a client of the handler's own has met, the peer is not the cause, unless its own content was sent on.
    let is_of_client = error.url().is_some() || error.sent().is_some();
    let is_peers = !is_of_client || error.status().is_some_and(|status| status.is_client_error());
    let is_meant = is_meant && (is_peers || error.kind() == ErrorKind::Answer);
    // One that says that all is well is a mistake of the handler's.
    let is_failure = error.status().is_none_or(|status| status.as_u16() >= 300);
    Some(error.message()).filter(|message| is_meant && is_failure && !message.is_empty())
}

/// The status that answers an error which a handler has returned: 500 where the error has none, and where it
/// has one that is no failure and leads nowhere.
pub(super) fn status_of(error: &Error) -> StatusCode {
    error.status().filter(|status| status.as_u16() >= 300).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_whose_status_is_none_of_a_failure_is_a_500() {
        for (status, answered) in [(None, 500), (Some(200), 500), (Some(204), 500), (Some(302), 302), (Some(404), 404)]
        {
            let mut error = Error::other("x");
            if let Some(status) = status {
                error = error.with_status(StatusCode::from_u16(status).unwrap());
            }
            assert_eq!(status_of(&error).as_u16(), answered, "{status:?}");
        }
    }
}
