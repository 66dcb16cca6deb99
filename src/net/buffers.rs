//! Read buffers, borrowed only while bytes are there.
//!
//! A connection that waits holds none: it borrows one for the length of a read, and gives it
//! back when nothing came or all of it was used. Each thread keeps a few.

use std::cell::{Cell, RefCell};

use bytes::BytesMut;

/// What one read asks for: a head, and the content of most requests behind it in the same read.
const BUFFER_BYTES: usize = 32 * 1024;
/// How many buffers a thread keeps. More are simply freed.
const KEPT: usize = 16;

/// What memory for content holds. It is lent by the thread, from one read to the next: whoever takes
/// content as it comes has let go of the last piece by then, and so one piece of memory, which the
/// processor has at hand, serves all large bodies of a thread.
const CONTENT_BYTES: usize = 256 * 1024;
/// Less room than this is not worth a read of a large body.
pub(crate) const LARGE_READ: usize = 64 * 1024;

thread_local! {
    static CONTENT: Cell<Option<BytesMut>> = const { Cell::new(None) };
    static BUFFERS: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer with room.
pub(crate) fn borrow() -> BytesMut {
    BUFFERS.with_borrow_mut(Vec::pop).unwrap_or_else(|| BytesMut::with_capacity(BUFFER_BYTES))
}

/// Makes this an empty buffer with room: itself, if it is still one.
pub(crate) fn renew(buffer: &mut BytesMut) {
    if buffer.capacity() == 0 || !reclaim(buffer) {
        *buffer = borrow();
    }
}

/// Takes a buffer back, if it is still one.
pub(crate) fn give_back(mut buffer: BytesMut) {
    if !reclaim(&mut buffer) {
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

/// Whether this has the room of a buffer once it is empty: its memory may have gone into a body.
fn reclaim(buffer: &mut BytesMut) -> bool {
    buffer.clear();
    buffer.capacity() <= 2 * BUFFER_BYTES && buffer.try_reclaim(BUFFER_BYTES)
}

/// Memory for a piece of a large body, with room for [`LARGE_READ`] bytes and perhaps more.
pub(crate) fn borrow_for_content() -> BytesMut {
    let kept = CONTENT.try_with(Cell::take).ok().flatten();
    let is_free = |memory: &mut BytesMut| memory.capacity() >= LARGE_READ || memory.try_reclaim(CONTENT_BYTES);
    kept.and_then(|mut memory| is_free(&mut memory).then_some(memory))
        .unwrap_or_else(|| BytesMut::with_capacity(CONTENT_BYTES))
}

/// Takes back what is left of it, without content.
pub(crate) fn keep_for_content(rest: BytesMut) {
    // See above of threads that end.
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
            memory.extend_from_slice(&[b'x'; LARGE_READ]);
            let content = memory.split().freeze();
            places.push(content.as_ptr());
            keep_for_content(memory);
        }
        places.sort();
        places.dedup();
        assert_eq!(places.len(), CONTENT_BYTES / LARGE_READ);
    }

    #[test]
    fn content_that_is_held_keeps_its_bytes() {
        let held: Vec<_> = (0..20u8)
            .map(|number| {
                let mut memory = borrow_for_content();
                memory.extend_from_slice(&[number; LARGE_READ]);
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
