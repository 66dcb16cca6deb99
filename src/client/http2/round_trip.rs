//! One round trip: an exchange until its head is there, then the response's body, which owns it.

use std::future::poll_fn;

use h2::Reason;

use super::super::connect::PoolConnPermit;
use super::super::exchange::{Attempt, FailedAttempt};
use super::body;
use super::connection::Http2Conn;
use super::exchange::Exchange;
use crate::error::ErrorKind;
use crate::message::Response;

/// Sends the request on a stream of its own and waits for the head of its response. Dropped before
/// it is done, it resets the stream.
pub(in super::super) async fn round_trip(
    conn: Http2Conn,
    permit: PoolConnPermit,
    attempt: Attempt<'_>,
    response: &mut Response,
) -> Result<(), FailedAttempt> {
    let (mut exchange, mut waiting) = Exchange::begin(conn, permit, attempt)?;
    match poll_fn(|cx| exchange.poll_head(&mut waiting, response, cx)).await {
        Ok(_) if exchange.state.refuses_expect(response.status, &exchange.upload.state) => {
            Err(exchange.refused_expect())
        }
        Ok(content) => {
            body::attach(exchange, content, response);
            Ok(())
        }
        Err(failed) => {
            if failed.error.is_timeout() {
                exchange.note_unanswered(true);
            }
            if !matches!(failed.error.kind(), ErrorKind::CutOff | ErrorKind::Io) {
                // Reset, so that the peer does not go on with a response that is not needed.
                exchange.upload.reset(Reason::CANCEL);
            }
            Err(failed)
        }
    }
}
