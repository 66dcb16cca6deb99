//! Content that is a file: sent by the system, without passing through the program.

use std::fs::File;

use super::sink::ResponseSink;
use super::writer::{Extent, ResponseWriter, Stage};
use crate::error::Result;
use crate::h1::Outgoing;

impl ResponseWriter {
    /// Whether [`sends_files`](Self::sends_files) is worth asking.
    pub(crate) fn may_send_files(&self) -> bool {
        matches!(&self.sink, Some(ResponseSink::Http1(conn_io)) if conn_io.sends_files())
    }

    /// Decides the head, and with it whether [`send_file`](Self::send_file) can send content of this
    /// answer: it goes out as it is, and nothing in between has to see it.
    pub(crate) fn sends_files(&mut self) -> bool {
        if self.check_writable().is_err() {
            return false;
        }
        self.commit(Extent::Start(&[]));
        let Stage::Sent { outgoing, .. } = self.stage else { return false };
        outgoing != Outgoing::Chunked && self.traits.has_content(outgoing) && self.may_send_files()
    }

    /// Writes so much of a file, from here on, where [`sends_files`](Self::sends_files) says that
    /// this can be done. What the system does not have in memory makes it block.
    ///
    /// # Errors
    /// As [`write`](Self::write); and when the file ends before.
    pub(crate) async fn send_file(&mut self, file: &File, offset: u64, length: u64) -> Result<()> {
        // By itself: that the system puts the head in front of the file was measured to cost more.
        self.flush().await?;
        self.check_length(length)?;
        let (Stage::Sent { outgoing, declared }, Some(ResponseSink::Http1(conn_io))) = (&self.stage, &self.sink) else {
            return Ok(());
        };
        let sent_stage = Stage::Sent { outgoing: *outgoing, declared: *declared };
        self.written += length;
        // Until it is done. When this future is dropped, that is what it stays.
        self.stage = Stage::Failed;
        let sent = conn_io.send_file(file, offset, length).await;
        self.stage = sent_stage;
        self.fail_on_error(sent)
    }
}
