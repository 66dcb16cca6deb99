//! A connection that a handler took over.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Bytes, BytesMut};

use crate::net::{Io, Rewind, Stream, delegate_read, delegate_write};

/// The raw connection that [`hijack`](crate::ResponseWriter::hijack) gives: reading yields first
/// what the server had already read, then what comes. No deadline runs; dropping it closes the
/// connection.
///
/// [`shutdown`](crate::Server::shutdown) does not wait for it, and says in its report how many
/// there were.
///
/// After an [`upgrade`](crate::ResponseWriter::upgrade) over HTTP/2 it is one stream of its connection,
/// which others go on using. A shutdown of this side ends it, and leaves the other direction open; dropped, it
/// ends this side behind what was written, and resets the stream if the peer still sends. `shutdown` of the
/// server waits for it within its grace, as for any request of the connection, and it is not among those that
/// the report counts.
pub struct Hijacked {
    stream: Rewind,
    /// Of connections; a stream is its connection's.
    _open_count: Option<OpenCount>,
}

/// Counts a hijacked connection for as long as it is open.
struct OpenCount(Arc<AtomicUsize>);

impl Drop for OpenCount {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Hijacked {
    /// `open` counts the connections that were taken over and are still open.
    pub(crate) fn new(io: Io, open: Arc<AtomicUsize>) -> Hijacked {
        open.fetch_add(1, Ordering::SeqCst);
        Hijacked { stream: io.into_rewind(), _open_count: Some(OpenCount(open)) }
    }

    /// One stream of a connection.
    pub(crate) fn of_stream(stream: impl Stream) -> Hijacked {
        Hijacked { stream: Rewind::new(Box::new(stream), BytesMut::new()), _open_count: None }
    }

    /// The bytes that the server had read ahead and that are not read yet.
    pub fn buffered(&self) -> &[u8] {
        &self.stream.ahead
    }

    /// Takes those bytes out, for a protocol's implementation that wants them apart from the
    /// stream.
    pub fn take_buffered(&mut self) -> Bytes {
        self.stream.ahead.split().freeze()
    }
}

delegate_read!(Hijacked, stream);
delegate_write!(Hijacked, stream);

impl fmt::Debug for Hijacked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hijacked").field("buffered", &self.stream.ahead.len()).finish_non_exhaustive()
    }
}
