//! Read buffers, borrowed only while bytes are there.
//!
//! A connection that waits holds none: it borrows one for a read, and gives it back when nothing came
//! or all of it was used. So ten thousand idle connections cost no buffer. Each thread keeps a few.

use std::cell::{Cell, RefCell};

use bytes::BytesMut;

/// The size of one read: enough for a head, and for the content of most requests in the same read.
const BUFFER_BYTES: usize = 32 * 1024;
/// How many buffers a thread keeps. More are simply freed.
const MAX_KEPT_COUNT: usize = 16;

/// The size of the memory that large content is read into. The thread lends it from one read to the
/// next. A reader that takes content as it comes has dropped the last piece by then, so the same
/// memory, still in the processor's cache, serves all large bodies of a thread.
const CONTENT_BYTES: usize = 256 * 1024;
/// Less room than this is not worth a read of a large body.
pub(crate) const MIN_LARGE_READ_BYTES: usize = 64 * 1024;

thread_local! {
    static CONTENT: Cell<Option<BytesMut>> = const { Cell::new(None) };
    static BUFFERS: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer with room.
pub(crate) fn borrow() -> BytesMut {
    BUFFERS.with_borrow_mut(Vec::pop).unwrap_or_else(|| BytesMut::with_capacity(BUFFER_BYTES))
}

/// Makes this an empty buffer with room, in its own memory where that is still large enough.
pub(crate) fn renew(buffer: &mut BytesMut) {
    if buffer.capacity() == 0 || !reclaim(buffer) {
        *buffer = borrow();
    }
}

/// Takes a buffer back, if it still has its memory.
pub(crate) fn give_back(mut buffer: BytesMut) {
    if !reclaim(&mut buffer) {
        return;
    }
    // Fails on a thread that is ending, when its thread-locals are gone already: a runtime may be the
    // last thing that it drops.
    let _ = BUFFERS.try_with(|kept| {
        let mut kept = kept.borrow_mut();
        if kept.len() < MAX_KEPT_COUNT {
            kept.push(buffer);
        }
    });
}

/// Empties a buffer, and returns whether it still has the room of one: a body may have split its memory off.
fn reclaim(buffer: &mut BytesMut) -> bool {
    buffer.clear();
    buffer.capacity() <= 2 * BUFFER_BYTES && buffer.try_reclaim(BUFFER_BYTES)
}

/// Memory for a piece of a large body, with room for [`MIN_LARGE_READ_BYTES`] bytes and perhaps more.
pub(crate) fn borrow_for_content() -> BytesMut {
    let kept = CONTENT.try_with(Cell::take).ok().flatten();
    let is_free =
        |memory: &mut BytesMut| memory.capacity() >= MIN_LARGE_READ_BYTES || memory.try_reclaim(CONTENT_BYTES);
    kept.and_then(|mut memory| is_free(&mut memory).then_some(memory))
        .unwrap_or_else(|| BytesMut::with_capacity(CONTENT_BYTES))
}

/// Takes back what is left of it, without content.
pub(crate) fn keep_for_content(rest: BytesMut) {
    // Fails on a thread that is ending, see give_back.
    let _ = CONTENT.try_with(|kept| kept.set(Some(rest)));
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
    fn memory_for_content_is_used_again_once_its_content_was_let_go_of() {
        let mut places = Vec::new();
        for _ in 0..10 {
            let mut memory = borrow_for_content();
            memory.extend_from_slice(&[b'x'; MIN_LARGE_READ_BYTES]);
            let content = memory.split().freeze();
            places.push(content.as_ptr());
            keep_for_content(memory);
        }
        places.sort();
        places.dedup();
        assert_eq!(places.len(), CONTENT_BYTES / MIN_LARGE_READ_BYTES);
    }

    #[test]
    fn content_that_is_held_keeps_its_bytes() {
        let held: Vec<_> = (0..20u8)
            .map(|number| {
                let mut memory = borrow_for_content();
                memory.extend_from_slice(&[number; MIN_LARGE_READ_BYTES]);
                let content = memory.split().freeze();
                keep_for_content(memory);
                content
            })
            .collect();
        assert!((0..).zip(&held).all(|(number, content)| content.iter().all(|b| *b == number)));
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
