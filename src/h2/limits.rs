//! What a peer may make this side do: every bound of a connection, as plain numbers.
//!
//! Frames are counted that are allowed but cost work, and that the protocol has no limit for: the floods of
//! CVE-2019-9512 and the like, rapid reset (CVE-2023-44487), and streams that this side has to reset
//! (CVE-2025-8671). What is done for the peer lowers the counts, and they start anew every ten seconds.
//! The clock is the caller's: it comes in as milliseconds since any moment.

use super::fault::ConnectionFault;
use super::hpack::ListLimits;

/// The limits of one connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EngineLimits {
    /// Of one list of fields. It is what SETTINGS_MAX_HEADER_LIST_SIZE says; a list beyond it is not
    /// malformed, but reported as too large.
    pub(crate) list: ListLimits,
    /// Frames that bring neither a message nor content, in a period.
    pub(crate) max_control_frames: u32,
    /// Streams that the peer resets, in a period.
    pub(crate) max_resets: u32,
    /// Streams that this side resets for what the peer did, in a period.
    pub(crate) max_local_resets: u32,
    /// What small DATA frames may cost beyond their content while nobody reads them, by
    /// [`SMALL_DATA_BYTES`] for each.
    pub(crate) max_small_data_bytes: u32,
}

/// A DATA frame of less content than this costs what is missing: a peer could send content byte by byte.
pub(super) const SMALL_DATA_BYTES: usize = 64;

pub(super) const SMALL_DATA: &str = "too many small DATA frames";

/// The time over which frames are counted.
const PERIOD_MS: u64 = 10_000;

/// How many frames may answer a DATA frame that was sent: WINDOW_UPDATE, and PING by peers that measure the
/// round trip.
const FRAMES_FOR_DATA: u32 = 10;

/// As many CONTINUATION frames a block may have beyond those that its size needs.
const SPARE_CONTINUATION_COUNT: usize = 8;

/// What waits to be written before nothing more is asked for, and nothing more should be read.
pub(crate) const ENOUGH_OUTPUT_BYTES: usize = 256 << 10;

/// What waits to be written before a client makes no more of it: less than the above, so that it stops
/// reading for what it has to answer, and not for what it wants to send. A server may wait for its own
/// answers to be read before it reads on.
pub(super) const ENOUGH_CLIENT_OUTPUT_BYTES: usize = ENOUGH_OUTPUT_BYTES / 2;

/// What waits to be written when a peer that makes this side answer, and does not read, is given up. Only
/// a driver that reads on in spite of [`ENOUGH_OUTPUT_BYTES`] gets there.
const MAX_OUTPUT_BYTES: usize = 4 << 20;

/// The streams that this side has reset and still knows: what comes for them is ignored. As many can be
/// under way as a peer may open, and some more.
pub(crate) const KNOWN_RESET_COUNT: usize = 256;

impl EngineLimits {
    /// How many bytes a header block may have, compressed. None that is worth decoding has more.
    pub(crate) fn max_block_bytes(&self) -> usize {
        self.list.max_bytes.saturating_add(16 << 10)
    }

    /// How large the fields of a block may be, decoded. Beyond the limit on a list one is answered as too
    /// large; a peer that goes so far beyond it is not worth the work.
    pub(crate) fn max_decoded_bytes(&self) -> usize {
        self.list.max_bytes.saturating_mul(4)
    }

    /// How many CONTINUATION frames a block may have (CVE-2024-27316, and empty ones: CVE-2026-33871).
    pub(crate) fn max_continuation_count(&self, max_frame_bytes: u32) -> usize {
        SPARE_CONTINUATION_COUNT + self.max_block_bytes() / max_frame_bytes.max(1) as usize
    }
}

/// What was counted in this period.
#[derive(Debug, Default)]
pub(crate) struct FloodCounts {
    control_frames: u32,
    resets: u32,
    local_resets: u32,
    period_began_ms: u64,
    /// Not of a period: what the small frames cost whose content is unread.
    small_data_bytes: u32,
}

impl FloodCounts {
    /// A frame that brings neither a message nor content.
    pub(crate) fn control_frame(&mut self, limits: &EngineLimits, now_ms: u64) -> Result<(), ConnectionFault> {
        self.control_frames = self.control_frames.saturating_add(1);
        if self.control_frames > limits.max_control_frames && self.is_same_period(now_ms) {
            return Err(ConnectionFault::calm("too many frames without a request or content"));
        }
        Ok(())
    }

    /// A DATA frame without content that does not end its stream either.
    pub(crate) fn empty_data(&mut self, limits: &EngineLimits, now_ms: u64) -> Result<(), ConnectionFault> {
        self.control_frame(limits, now_ms).map_err(|fault| ConnectionFault { words: SMALL_DATA, ..fault })
    }

    /// A DATA frame costs so much beyond its content.
    pub(crate) fn small_data(&mut self, limits: &EngineLimits, cost: u32) -> Result<(), ConnectionFault> {
        self.small_data_bytes = self.small_data_bytes.saturating_add(cost);
        if self.small_data_bytes > limits.max_small_data_bytes {
            return Err(ConnectionFault::calm(SMALL_DATA));
        }
        Ok(())
    }

    /// What small DATA frames brought was read.
    pub(crate) fn small_data_was_read(&mut self, cost: u32) {
        self.small_data_bytes = self.small_data_bytes.saturating_sub(cost);
    }

    /// RST_STREAM of the peer.
    pub(crate) fn reset(&mut self, limits: &EngineLimits, now_ms: u64) -> Result<(), ConnectionFault> {
        self.resets = self.resets.saturating_add(1);
        if self.resets > limits.max_resets && self.is_same_period(now_ms) {
            return Err(ConnectionFault::calm("too many requests were given up"));
        }
        Ok(())
    }

    /// RST_STREAM of this side, for what the peer did.
    pub(crate) fn local_reset(&mut self, limits: &EngineLimits, now_ms: u64) -> Result<(), ConnectionFault> {
        self.local_resets = self.local_resets.saturating_add(1);
        if self.local_resets > limits.max_local_resets && self.is_same_period(now_ms) {
            return Err(ConnectionFault::calm("too many streams had to be reset"));
        }
        Ok(())
    }

    /// A request was begun: what answers it is not held against the peer, nor what comes when it is given up.
    pub(crate) fn began_request(&mut self) {
        self.control_frames = self.control_frames.saturating_sub(FRAMES_FOR_DATA);
        self.resets = self.resets.saturating_sub(1);
    }

    /// A DATA frame was sent. Counts do not go below zero: a peer cannot save up credit for a flood.
    pub(crate) fn sent_data(&mut self) {
        self.control_frames = self.control_frames.saturating_sub(FRAMES_FOR_DATA);
    }

    /// A message was sent to its end.
    pub(crate) fn sent_message(&mut self) {
        self.resets = self.resets.saturating_sub(1);
    }

    /// Asked only where a count is over its limit: a new period begins with that frame.
    fn is_same_period(&mut self, now_ms: u64) -> bool {
        if now_ms.saturating_sub(self.period_began_ms) < PERIOD_MS {
            return true;
        }
        let small_data_bytes = self.small_data_bytes;
        *self = FloodCounts { period_began_ms: now_ms, small_data_bytes, ..FloodCounts::default() };
        false
    }
}

/// Whether so much waits to be written that the connection is given up.
pub(crate) fn check_output(waiting_bytes: usize) -> Result<(), ConnectionFault> {
    if waiting_bytes > MAX_OUTPUT_BYTES {
        return Err(ConnectionFault::calm("answers that are not read"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: EngineLimits = EngineLimits {
        list: ListLimits { max_bytes: 1 << 16, max_fields: 100 },
        max_control_frames: 10,
        max_resets: 10,
        max_local_resets: 10,
        max_small_data_bytes: 1000,
    };

    #[test]
    fn more_than_the_limit_in_one_period_is_a_flood_and_in_two_it_is_none() {
        let kinds = [FloodCounts::control_frame, FloodCounts::reset, FloodCounts::local_reset];
        for count in kinds {
            let mut counts = FloodCounts::default();
            for period in 0..5 {
                for _ in 0..10 {
                    assert_eq!(count(&mut counts, &LIMITS, period * PERIOD_MS), Ok(()));
                }
            }
            let mut counts = FloodCounts::default();
            let flooded = (0..11).map(|n| count(&mut counts, &LIMITS, n)).find(Result::is_err);
            assert!(flooded.is_some(), "eleven in one period");
        }
    }

    #[test]
    fn what_was_sent_makes_up_for_frames_and_is_not_saved() {
        let mut counts = FloodCounts::default();
        for _ in 0..1000 {
            counts.sent_data();
            counts.sent_message();
        }
        for _ in 0..10 {
            counts.control_frame(&LIMITS, 0).unwrap();
            counts.reset(&LIMITS, 0).unwrap();
        }
        counts.sent_message();
        assert_eq!(counts.reset(&LIMITS, 0), Ok(()));
        assert!(counts.reset(&LIMITS, 0).is_err());
        counts.sent_data();
        for _ in 0..10 {
            assert_eq!(counts.control_frame(&LIMITS, 0), Ok(()));
        }
        assert!(counts.control_frame(&LIMITS, 0).is_err());
    }
}
