//! Responses: what one is, how it looks in bytes, and when these leave.

pub(super) mod async_write;
pub(super) mod checkpoint;
pub(super) mod decide;
pub(super) mod head;
pub(super) mod lifecycle;
pub(super) mod send_file;
pub(super) mod sink;
pub(super) mod write_buffer;
pub(super) mod writer;

pub use writer::{AutoField, ResponseWriter};
