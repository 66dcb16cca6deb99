//! Informational responses on their way from the upstream to the client (RFC 9110 §15.2).
//!
//! The transport tells of them while it waits for the final response, on the task that waits. They lie here until
//! that wait is interrupted to send them.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::StatusCode;

use super::fields::remove_hop_by_hop;
use crate::client::observe::ClientTrace;
use crate::error::{Error, ErrorKind, Phase, Result};
use crate::message::Header;

/// As much may lie here: a peer could send them faster than the client takes them.
const MAX_WAITING_BYTES: usize = 64 * 1024;

#[derive(Default)]
pub(super) struct InterimResponses(Mutex<InterimQueue>);

#[derive(Default)]
struct InterimQueue {
    waiting: VecDeque<(StatusCode, Header)>,
    waiting_bytes: usize,
}

impl InterimResponses {
    fn lock(&self) -> MutexGuard<'_, InterimQueue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().waiting.is_empty()
    }

    /// The one that came first.
    pub(super) fn next(&self) -> Option<(StatusCode, Header)> {
        let mut queue = self.lock();
        let next = queue.waiting.pop_front();
        if queue.waiting.is_empty() {
            queue.waiting_bytes = 0;
        }
        next
    }
}

impl ClientTrace for InterimResponses {
    /// All but 100: that one the client gets when its content is read, which the transport does at once. A client
    /// that did not wait for it gets none.
    fn got_1xx_response(&self, status: StatusCode, header: &Header) -> Result<()> {
        if status == StatusCode::CONTINUE {
            return Ok(());
        }
        let mut header = header.clone();
        remove_hop_by_hop(&mut header);
        let mut queue = self.lock();
        queue.waiting_bytes = queue.waiting_bytes.saturating_add(header.held()).saturating_add(size_of::<Header>());
        if queue.waiting_bytes > MAX_WAITING_BYTES {
            return Err(Error::new(ErrorKind::Refused, "too many informational responses").during(Phase::Head));
        }
        queue.waiting.push_back((status, header));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_wait_in_order_without_what_is_of_the_connection() {
        let interims = InterimResponses::default();
        let hints = StatusCode::from_u16(103).unwrap();
        let fields = [("Link", "</a>"), ("Connection", "X-Hop"), ("X-Hop", "1"), ("Keep-Alive", "timeout=5")];
        interims.got_1xx_response(StatusCode::CONTINUE, &Header::new()).unwrap();
        interims.got_1xx_response(StatusCode::PROCESSING, &Header::new()).unwrap();
        interims.got_1xx_response(hints, &fields.into_iter().collect()).unwrap();
        assert_eq!(interims.next().unwrap().0, StatusCode::PROCESSING);
        let (status, header) = interims.next().unwrap();
        assert_eq!((status, header.len(), header.get("Link")), (hints, 1, Some("</a>")));
        assert!(interims.is_empty() && interims.next().is_none());
    }

    #[test]
    fn more_than_a_client_takes_is_refused() {
        let interims = InterimResponses::default();
        let header: Header = [("X", "x".repeat(1000))].into_iter().collect();
        let refused = (0..100).find_map(|_| interims.got_1xx_response(StatusCode::PROCESSING, &header).err());
        assert_eq!(refused.unwrap().kind(), ErrorKind::Refused);
    }
}
