//! A place in an answer to go back to, as long as nothing of it was sent.

use http::StatusCode;
use tokio::time::Instant;

use super::ResponseWriter;
use crate::message::Header;
use crate::server::answer::Omitted;
use crate::server::outlet::Outlet;

/// What an answer was at some time.
pub(crate) struct Mark {
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
    /// The answer as it is now, to be gone back to. Costs no allocation while no field is set.
    pub(crate) fn mark(&self) -> Mark {
        let (read_until, write_until) = self.outlet.as_ref().map(Outlet::deadlines).unwrap_or_default();
        Mark {
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
    pub(crate) fn go_back(&mut self, mark: Mark) -> bool {
        if !self.is_open() {
            return false;
        }
        self.header = mark.header;
        self.trailer = mark.trailer;
        self.status = mark.status;
        self.pending.truncate(mark.pending);
        self.written = mark.written;
        self.omitted = mark.omitted;
        self.hooks.truncate(mark.hooks);
        self.set_read_deadline(mark.read_until);
        self.set_write_deadline(mark.write_until);
        true
    }
}
