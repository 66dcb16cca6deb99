//! HTTP/1.1 as a client speaks it: one exchange after the other on a connection.
//!
//! It has no task. The caller's future writes the request and reads the response's head, both polled
//! together; then the response's body owns the connection and gives it back to the pool at its end.

mod body;
mod connection;
mod exchange;
mod upgraded;
mod upload;

pub(crate) use connection::Http1Conn;

use std::future::{Future, poll_fn};

use self::exchange::Exchange;
use super::connect::PoolConnPermit;
use super::exchange::{Attempt, FailedAttempt};
use crate::message::Response;

/// Writes the request and reads the head of its response, which is filled in place: a response is
/// large, and each move would copy it. Dropped before it is done, it closes the connection.
///
/// Not an `async fn`: its future would keep the attempt while it waits, though the exchange has taken
/// what it needs.
pub(crate) fn round_trip<'a>(
    conn: Box<Http1Conn>,
    permit: PoolConnPermit,
    attempt: Attempt<'_>,
    response: &'a mut Response,
) -> impl Future<Output = Result<(), FailedAttempt>> + Send + use<'a> {
    let mut exchange = Exchange::begin(conn, permit, attempt);
    async move {
        match poll_fn(|cx| exchange.poll_head(response, cx)).await {
            Ok(_) if exchange.state.refuses_expect(response.status, &exchange.upload.state) => {
                // The server may still wait for the body: the connection is not used again.
                Err(exchange.refused_expect())
            }
            Ok(head) => {
                body::attach(exchange, &head, response);
                Ok(())
            }
            Err(error) => Err(exchange.fail(error)),
        }
    }
}
