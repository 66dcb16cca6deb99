//! Flow control (RFC 9113 §5.2 and §6.9): what each side may still send.

use super::fault::{ConnectionFault, StreamFault};

/// What a window is at first (RFC 9113 §6.9.2).
pub(crate) const DEFAULT_WINDOW_BYTES: u32 = 65_535;

/// RFC 9113 §6.9.1.
pub(crate) const MAX_WINDOW_BYTES: i64 = (1 << 31) - 1;

/// What the peer may still send, of one stream or of all. At any time, what is available, what has come and
/// is not released, and what is released and not told yet are the window's size together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReceiveWindow {
    size: u32,
    /// Below zero only while a peer uses the default window that it had before it read our settings.
    available: i64,
    /// Released, and not told to the peer yet.
    untold: u32,
}

impl ReceiveWindow {
    pub(crate) fn new(size: u32) -> ReceiveWindow {
        ReceiveWindow { size, available: i64::from(size), untold: 0 }
    }

    /// The same, for a peer that may not know of it yet, and may use the default (RFC 9113 §6.9.2).
    pub(crate) fn not_known_yet(size: u32) -> ReceiveWindow {
        ReceiveWindow { available: i64::from(size.max(DEFAULT_WINDOW_BYTES)), ..ReceiveWindow::new(size) }
    }

    /// The peer has acknowledged the size.
    pub(crate) fn is_known_now(&mut self) {
        self.available -= i64::from(self.size.max(DEFAULT_WINDOW_BYTES) - self.size);
    }

    /// Takes what has come off the window; `false` where it is more than that.
    pub(crate) fn take(&mut self, bytes: usize) -> bool {
        let left = i64::try_from(bytes).ok().and_then(|bytes| self.available.checked_sub(bytes));
        let Some(left) = left.filter(|left| *left >= 0) else { return false };
        self.available = left;
        true
    }

    /// So much of what had come is done with. Returns by how much the peer is to be told that the window
    /// grows: nothing before it is half the window, so that not each read costs a frame.
    #[must_use]
    pub(crate) fn release(&mut self, bytes: u32) -> Option<u32> {
        self.untold = self.untold.saturating_add(bytes);
        if u64::from(self.untold) * 2 < u64::from(self.size) {
            return None;
        }
        let by = std::mem::take(&mut self.untold);
        self.available += i64::from(by);
        (by > 0).then_some(by)
    }

    #[cfg(any(test, fuzzing))]
    pub(crate) fn available(&self) -> i64 {
        self.available
    }

    /// What has come and is not released.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn unreleased(&self) -> i64 {
        i64::from(self.size) - self.available - i64::from(self.untold)
    }
}

/// What this side may still send on all streams.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SendWindow(i64);

impl SendWindow {
    pub(crate) fn new() -> SendWindow {
        SendWindow(i64::from(DEFAULT_WINDOW_BYTES))
    }

    pub(crate) fn available(self) -> i64 {
        self.0
    }

    pub(crate) fn take(&mut self, bytes: usize) {
        self.0 -= bytes as i64;
    }

    /// RFC 9113 §6.9 and §6.9.1. Returns whether it was shut and is open now.
    pub(crate) fn grow(&mut self, by: u32) -> Result<bool, ConnectionFault> {
        if by == 0 {
            return Err(ConnectionFault::protocol("WINDOW_UPDATE by 0"));
        }
        let grown = self.0 + i64::from(by);
        if grown > MAX_WINDOW_BYTES {
            return Err(ConnectionFault::flow_control("a window that is too large"));
        }
        let was_shut = std::mem::replace(&mut self.0, grown) <= 0;
        Ok(was_shut && grown > 0)
    }
}

/// What this side may still send on one stream: what the peer's settings allow each stream at first, and
/// what has come and gone since. So a change of the setting changes every window, and none is touched.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct StreamSendWindow {
    delta: i64,
}

impl StreamSendWindow {
    pub(crate) fn available(self, initial: u32) -> i64 {
        i64::from(initial) + self.delta
    }

    pub(crate) fn take(&mut self, bytes: usize) {
        self.delta -= bytes as i64;
    }

    /// RFC 9113 §6.9 and §6.9.1: here the faults are the stream's.
    pub(crate) fn grow(&mut self, initial: u32, by: u32) -> Result<(), StreamFault> {
        if by == 0 {
            return Err(StreamFault::protocol("WINDOW_UPDATE by 0"));
        }
        if self.available(initial) + i64::from(by) > MAX_WINDOW_BYTES {
            return Err(StreamFault::flow_control("a window that is too large"));
        }
        self.delta += i64::from(by);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peer_may_send_what_the_window_has_and_no_byte_more() {
        let mut window = ReceiveWindow::new(100);
        assert!(window.take(60) && window.take(40) && window.take(0));
        assert!(!window.take(1));
        assert_eq!(window.release(49), None);
        assert!(!window.take(1), "released, but not told");
        assert_eq!(window.release(1), Some(50));
        assert!(window.take(50) && !window.take(1));
        assert_eq!(window.unreleased(), 100);
    }

    #[test]
    fn all_that_is_released_is_told_in_the_end() {
        let mut window = ReceiveWindow::new(1000);
        let mut told = 0;
        for _ in 0..300 {
            assert!(window.take(7));
            told += window.release(7).unwrap_or_default();
        }
        assert!((2100 - 500..=2100).contains(&told));
        assert_eq!(window.unreleased(), 0);
    }

    #[test]
    fn a_small_window_is_not_held_against_a_peer_that_does_not_know_it() {
        let mut window = ReceiveWindow::not_known_yet(10);
        assert!(window.take(65_535) && !window.take(1));
        window.is_known_now();
        assert_eq!(window.release(65_535 - 10), Some(65_525));
        assert!(!window.take(1));
        assert_eq!(window.release(10), Some(10));
        assert!(window.take(10) && !window.take(1));
        let mut large = ReceiveWindow::not_known_yet(100_000);
        large.is_known_now();
        assert!(large.take(100_000) && !large.take(1));
    }

    #[test]
    fn a_window_grows_up_to_its_limit_and_by_0_is_a_fault() {
        let mut window = SendWindow::new();
        assert!(window.grow(0).is_err());
        assert_eq!(window.grow((1 << 31) - 1 - 65_535), Ok(false));
        assert!(window.grow(1).is_err());
        window.take((1 << 31) - 1);
        assert_eq!(window.grow(1), Ok(true), "it was shut");
        let mut stream = StreamSendWindow::default();
        assert_eq!(stream.grow(65_535, 0).unwrap_err().words, "WINDOW_UPDATE by 0");
        stream.take(65_535);
        assert_eq!((stream.available(65_535), stream.available(0)), (0, -65_535));
        assert_eq!(stream.grow(0, u32::MAX >> 1), Ok(()));
        assert!(stream.grow(65_536, 1).is_err());
    }
}
