//! A connection that speaks another protocol now: after a 101, or a 2xx to CONNECT.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::super::connect::PoolConnPermit;
use super::super::upgraded::{TakeOver, Upgraded};
use super::connection::Http1Conn;
use super::exchange::Exchange;
use crate::error::{Error, ErrorKind, Phase, Result};
use crate::message::{Frame, Source};

/// The connection while both the response's body and `upgrade` can take it.
pub(super) struct Switched(Mutex<Option<(Box<Http1Conn>, PoolConnPermit)>>);

impl Switched {
    pub(super) fn new(exchange: Box<Exchange>) -> Arc<Switched> {
        Arc::new(Switched(Mutex::new(Some(exchange.into_parts()))))
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Box<Http1Conn>, PoolConnPermit)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TakeOver for Switched {
    fn take_over(&self) -> Option<Upgraded> {
        let (http1, permit) = self.lock().take()?;
        let Http1Conn { io, info, .. } = *http1;
        Some(Upgraded::new(io.into_rewind(), info.remote_addr.clone(), Some(permit)))
    }
}

/// The bytes as the body of the response, until the connection ends.
pub(super) struct SwitchedBody(pub(super) Arc<Switched>);

/// The size of one read.
const MAX_READ_BYTES: usize = 64 * 1024;

impl Source for SwitchedBody {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        let mut taken = self.0.lock();
        let Some((http1, _)) = &mut *taken else {
            let error = Error::new(ErrorKind::Hijacked, "the connection of this body was taken over");
            return Poll::Ready(Some(Err(error)));
        };
        let io = &mut http1.io;
        if !io.input.is_empty() {
            let here = io.input.split().freeze();
            return Poll::Ready(Some(Ok(Frame::Data(here))));
        }
        let chunk: Bytes =
            ready!(io.poll_read(cx, MAX_READ_BYTES)).map_err(|error| Error::from(error).during(Phase::Body))?;
        Poll::Ready((!chunk.is_empty()).then_some(Ok(Frame::Data(chunk))))
    }

    fn remaining(&self) -> Option<u64> {
        None
    }
}
