//! A place in a response to go back to, as long as nothing of it was sent.

use http::StatusCode;
use tokio::time::Instant;

use super::decide::Omitted;
use super::sink::ResponseSink;
use super::writer::ResponseWriter;
use crate::message::Header;

/// What a response was at some time.
pub(crate) struct Checkpoint {
    header: Header,
    trailer: Header,
    status: Option<StatusCode>,
    pending: usize,
    written: u64,
    omitted: Omitted,
    hooks: usize,
    read_until: Option<Instant>,
    write_until: Option<Instant>,
}

impl ResponseWriter {
    /// The response as it is now, to be gone back to. Costs no allocation while no field is set.
    pub(crate) fn checkpoint(&self) -> Checkpoint {
        let (read_until, write_until) = self.sink.as_ref().map(ResponseSink::deadlines).unwrap_or_default();
        Checkpoint {
            header: self.header.clone(),
            trailer: self.trailer.clone(),
            status: self.status,
            pending: self.pending.len(),
            written: self.written,
            omitted: self.omitted,
            hooks: self.hooks.len(),
            read_until,
            write_until,
        }
    }

    /// Forgets what was set and written since the mark was made. Says whether that was possible:
    /// what was sent stays sent.
    pub(crate) fn rollback(&mut self, checkpoint: Checkpoint) -> bool {
        if !self.is_open() {
            return false;
        }
        self.header = checkpoint.header;
        self.trailer = checkpoint.trailer;
        self.status = checkpoint.status;
        self.pending.truncate(checkpoint.pending);
        self.written = checkpoint.written;
        self.omitted = checkpoint.omitted;
        self.hooks.truncate(checkpoint.hooks);
        self.set_read_deadline(checkpoint.read_until);
        self.set_write_deadline(checkpoint.write_until);
        true
    }
}
