//! One round trip: an exchange until its head is there, then the response's body, which owns it.

use std::future::poll_fn;

use super::super::connect::PoolConnPermit;
use super::super::exchange::{Attempt, FailedAttempt};
use super::body;
use super::connection::Http2Conn;
use super::exchange::Exchange;
use crate::message::Response;

/// Sends the request on a stream of its own and waits for the head of its response. Dropped before
/// it is done, it resets the stream.
pub(in super::super) async fn round_trip(
    conn: Http2Conn,
    permit: PoolConnPermit,
    attempt: Attempt<'_>,
    response: &mut Response,
) -> Result<(), FailedAttempt> {
    let mut exchange = Exchange::begin(conn, permit, attempt)?;
    let content_follows = poll_fn(|cx| exchange.poll_head(response, cx)).await?;
    if exchange.state.refuses_expect(response.status, &exchange.upload.state) {
        return Err(exchange.refused_expect());
    }
    body::attach(exchange, content_follows, response);
    Ok(())
}
