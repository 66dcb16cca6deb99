//! Read buffers, borrowed only while bytes are there.
//!
//! A connection that waits holds none: it borrows one for the length of a read, and gives it
//! back when nothing came or all of it was used. Each thread keeps a few.

use std::cell::RefCell;

use bytes::BytesMut;

/// What one read asks for: a head, and the content of most requests behind it in the same read.
const BUFFER_BYTES: usize = 32 * 1024;
/// How many buffers a thread keeps. More are simply freed.
const KEPT: usize = 16;

thread_local! {
    static BUFFERS: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer with room.
pub(crate) fn borrow() -> BytesMut {
    BUFFERS.with_borrow_mut(Vec::pop).unwrap_or_else(|| BytesMut::with_capacity(BUFFER_BYTES))
}

/// Takes a buffer back, if it is still one: its memory may have gone into a body.
pub(crate) fn give_back(mut buffer: BytesMut) {
    buffer.clear();
    if buffer.capacity() > 2 * BUFFER_BYTES || !buffer.try_reclaim(BUFFER_BYTES) {
        return;
    }
    // A thread that ends has no place for buffers any more: a runtime may be the last thing it drops.
    let _ = BUFFERS.try_with(|kept| {
        let mut kept = kept.borrow_mut();
        if kept.len() < KEPT {
            kept.push(buffer);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_that_came_back_is_borrowed_again() {
        let mut first = borrow();
        first.extend_from_slice(b"used");
        let place = first.as_ptr();
        give_back(first);
        let second = borrow();
        assert_eq!((second.as_ptr(), second.len()), (place, 0));
    }

    #[test]
    fn a_buffer_whose_memory_went_into_a_body_is_not_kept() {
        let mut buffer = borrow();
        buffer.extend_from_slice(&[b'x'; BUFFER_BYTES]);
        let body = buffer.split_to(BUFFER_BYTES).freeze();
        give_back(buffer);
        assert!(borrow().capacity() >= BUFFER_BYTES);
        assert!(body.iter().all(|&b| b == b'x'));
    }
}
