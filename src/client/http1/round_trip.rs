//! One round trip: an exchange until its head is there, then the response's body, which owns it.

use std::future::{Future, poll_fn};

use super::super::connect::PoolConnPermit;
use super::super::exchange::{Attempt, FailedAttempt};
use super::body;
use super::connection::Http1Conn;
use super::exchange::Exchange;
use crate::message::Response;

/// Writes the request and reads the head of its response, which is filled where it lies: a response
/// is large to be moved about. Dropped before it is done, it closes the connection.
///
/// No `async fn`: that would keep the attempt for as long as it waits, and the exchange has what it
/// needs of it.
pub(crate) fn round_trip<'a>(
    conn: Box<Http1Conn>,
    permit: PoolConnPermit,
    attempt: Attempt<'_>,
    response: &'a mut Response,
) -> impl Future<Output = Result<(), FailedAttempt>> + Send + use<'a> {
    let mut exchange = Exchange::begin(conn, permit, attempt);
    async move {
        match poll_fn(|cx| exchange.poll_head(response, cx)).await {
            Ok(head) => {
                body::attach(exchange, &head, response);
                Ok(())
            }
            Err(error) => Err(exchange.fail(error)),
        }
    }
}
