//! What is in a frame behind its head. Lengths that [`FrameHead::check`] has let through are not looked at
//! again, but nothing here fails on any bytes.

use super::super::fault::{ConnectionFault, ErrorCode};
use super::head::{FrameFlags, FrameHead};

/// RFC 9113 §6.9 and §6.3: the first bit says nothing.
const LOW_31_BITS: u32 = 0x7fff_ffff;

/// How a DATA frame's length is made up. Both parts count for the windows (RFC 9113 §6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DataPadding {
    /// What stands before the content: the length of the padding, or nothing.
    pub(crate) before: usize,
    pub(crate) content: usize,
    pub(crate) after: usize,
}

/// The parts of a DATA frame, of which the first byte behind its head is needed where it is padded.
/// `None`: that byte is not here yet.
pub(crate) fn read_padding(head: FrameHead, first: Option<u8>) -> Result<Option<DataPadding>, ConnectionFault> {
    if !head.flags.has(FrameFlags::PADDED) {
        return Ok(Some(DataPadding { before: 0, content: head.len, after: 0 }));
    }
    let Some(rest) = head.len.checked_sub(1) else { return Err(NO_ROOM_FOR_PADDING) };
    let Some(first) = first else { return Ok(None) };
    let after = usize::from(first);
    let content = rest.checked_sub(after).ok_or(MORE_PADDING_THAN_FRAME)?;
    Ok(Some(DataPadding { before: 1, content, after }))
}

const NO_ROOM_FOR_PADDING: ConnectionFault = ConnectionFault::frame_size("no room for the padding's length");
/// RFC 9113 §6.1 and §6.2.
const MORE_PADDING_THAN_FRAME: ConnectionFault = ConnectionFault::protocol("more padding than frame");

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HeadersPayload<'a> {
    /// The first piece of the header block.
    pub(crate) block: &'a [u8],
    /// RFC 7540 §5.3.1 forbade it, and RFC 9113 §5.3 has done away with what it speaks of. Test suites ask
    /// for it still, and no client does it.
    pub(crate) depends_on_itself: bool,
}

/// HEADERS without padding and without the priorities of RFC 7540, which are ignored (RFC 9113 §5.3.2).
pub(crate) fn read_headers(head: FrameHead, payload: &[u8]) -> Result<HeadersPayload<'_>, ConnectionFault> {
    let (mut block, mut padding) = (payload, 0);
    if head.flags.has(FrameFlags::PADDED) {
        let (&first, rest) = block.split_first().ok_or(NO_ROOM_FOR_PADDING)?;
        (block, padding) = (rest, usize::from(first));
    }
    let mut is_circle = false;
    if head.flags.has(FrameFlags::PRIORITY) {
        let no_room = ConnectionFault::frame_size("no room for a priority");
        let (priority, rest) = block.split_at_checked(5).ok_or(no_room)?;
        (block, is_circle) = (rest, depends_on_itself(head.stream_id, priority));
    }
    let len = block.len().checked_sub(padding).ok_or(MORE_PADDING_THAN_FRAME)?;
    Ok(HeadersPayload { block: block.get(..len).unwrap_or_default(), depends_on_itself: is_circle })
}

/// Whether the five bytes of a priority name the stream that they are for.
pub(crate) fn depends_on_itself(stream_id: u32, priority: &[u8]) -> bool {
    number(priority) & LOW_31_BITS == stream_id
}

pub(crate) fn read_reset(payload: &[u8]) -> ErrorCode {
    ErrorCode(number(payload))
}

/// By how much a window grows. 0 is a fault of the stream or of the connection (RFC 9113 §6.9).
pub(crate) fn read_window_update(payload: &[u8]) -> u32 {
    number(payload) & LOW_31_BITS
}

pub(crate) fn read_ping(payload: &[u8]) -> [u8; 8] {
    payload.first_chunk().copied().unwrap_or_default()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GoawayPayload<'a> {
    pub(crate) last_stream_id: u32,
    pub(crate) code: ErrorCode,
    pub(crate) debug_data: &'a [u8],
}

pub(crate) fn read_goaway(payload: &[u8]) -> GoawayPayload<'_> {
    let (last, rest) = payload.split_at_checked(4).unwrap_or_default();
    let (code, debug_data) = rest.split_at_checked(4).unwrap_or_default();
    GoawayPayload { last_stream_id: number(last) & LOW_31_BITS, code: ErrorCode(number(code)), debug_data }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PriorityUpdate<'a> {
    pub(crate) stream_id: u32,
    /// As a `priority` field has it (RFC 9218 §7.1).
    pub(crate) value: &'a [u8],
}

pub(crate) fn read_priority_update(payload: &[u8]) -> PriorityUpdate<'_> {
    let (id, value) = payload.split_at_checked(4).unwrap_or_default();
    PriorityUpdate { stream_id: number(id) & LOW_31_BITS, value }
}

/// The settings that mean something here. Others are ignored (RFC 9113 §6.5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SettingId {
    HeaderTableSize,
    EnablePush,
    MaxConcurrentStreams,
    InitialWindowSize,
    MaxFrameSize,
    MaxHeaderListSize,
    /// RFC 8441 §3.
    EnableConnectProtocol,
    /// RFC 9218 §2.1.
    NoRfc7540Priorities,
    Unknown,
}

impl SettingId {
    fn of(number: u16) -> SettingId {
        match number {
            0x1 => SettingId::HeaderTableSize,
            0x2 => SettingId::EnablePush,
            0x3 => SettingId::MaxConcurrentStreams,
            0x4 => SettingId::InitialWindowSize,
            0x5 => SettingId::MaxFrameSize,
            0x6 => SettingId::MaxHeaderListSize,
            0x8 => SettingId::EnableConnectProtocol,
            0x9 => SettingId::NoRfc7540Priorities,
            _ => SettingId::Unknown,
        }
    }

    fn number(self) -> u16 {
        match self {
            SettingId::HeaderTableSize => 0x1,
            SettingId::EnablePush => 0x2,
            SettingId::MaxConcurrentStreams => 0x3,
            SettingId::InitialWindowSize => 0x4,
            SettingId::MaxFrameSize => 0x5,
            SettingId::MaxHeaderListSize => 0x6,
            SettingId::EnableConnectProtocol => 0x8,
            SettingId::NoRfc7540Priorities => 0x9,
            // Never written; no RFC has it.
            SettingId::Unknown => 0xffff,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SettingValue {
    pub(crate) id: SettingId,
    pub(crate) value: u32,
}

impl SettingValue {
    pub(crate) fn bytes(self) -> [u8; 6] {
        let ([i0, i1], [v0, v1, v2, v3]) = (self.id.number().to_be_bytes(), self.value.to_be_bytes());
        [i0, i1, v0, v1, v2, v3]
    }
}

/// The settings in their order, in which they count (RFC 9113 §6.5.3).
pub(crate) fn read_settings(payload: &[u8]) -> impl Iterator<Item = SettingValue> {
    payload.chunks_exact(6).map(|setting| {
        let (id, value) = setting.split_at_checked(2).unwrap_or_default();
        let id = id.first_chunk().map_or(0, |id| u16::from_be_bytes(*id));
        SettingValue { id: SettingId::of(id), value: number(value) }
    })
}

/// The number of the first four bytes.
fn number(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::super::head::FrameKind;
    use super::*;

    fn head(kind: FrameKind, flags: u8, len: usize) -> FrameHead {
        FrameHead { len, kind, flags: FrameFlags(flags), stream_id: 3 }
    }

    fn headers(flags: u8, payload: &[u8]) -> Result<HeadersPayload<'_>, ConnectionFault> {
        read_headers(head(FrameKind::Headers, flags, payload.len()), payload)
    }

    #[test]
    fn padding_is_taken_off_and_may_leave_nothing_but_not_less() {
        let parts = |flags, len, first| read_padding(head(FrameKind::Data, flags, len), first);
        let of = |before, content, after| Ok(Some(DataPadding { before, content, after }));
        assert_eq!(parts(0, 9, None), of(0, 9, 0));
        assert_eq!(parts(8, 9, None), Ok(None), "its length is not here yet");
        assert_eq!(parts(8, 9, Some(3)), of(1, 5, 3));
        assert_eq!(parts(8, 9, Some(8)), of(1, 0, 8));
        assert_eq!(parts(8, 1, Some(0)), of(1, 0, 0));
        assert_eq!(parts(8, 9, Some(9)), Err(MORE_PADDING_THAN_FRAME));
        assert_eq!(parts(8, 0, None), Err(NO_ROOM_FOR_PADDING));
    }

    #[test]
    fn a_header_block_stands_between_priority_and_padding() {
        let block = |block, depends_on_itself| Ok(HeadersPayload { block, depends_on_itself });
        assert_eq!(headers(0, b"abc"), block(b"abc", false));
        assert_eq!(headers(0x8, b"\x01ab\0"), block(b"ab", false));
        assert_eq!(headers(0x20, b"\x80\0\0\x03\xffab"), block(b"ab", true), "the first bit is another thing");
        assert_eq!(headers(0x28, b"\x02\0\0\0\x01\xffab\0\0"), block(b"ab", false));
        assert_eq!(headers(0x28, b"\x02\0\0\0\x01\xff\0\0"), block(b"", false));
        assert_eq!(headers(0x8, b"\x04abc"), Err(MORE_PADDING_THAN_FRAME));
        assert_eq!(headers(0x28, b"\x03\0\0\0\x01\xff\0\0"), Err(MORE_PADDING_THAN_FRAME));
        for (flags, payload) in [(0x8, &b""[..]), (0x20, b"\0\0\0\x01"), (0x28, b"\0\0\0\0\x01")] {
            assert_eq!(headers(flags, payload).unwrap_err().code, ErrorCode::FRAME_SIZE_ERROR);
        }
    }

    #[test]
    fn settings_keep_their_order_and_unknown_ones_say_nothing() {
        let payload = b"\0\x04\0\0\0\x01\xff\xff\x01\x02\x03\x04\0\x04\0\0\0\x02\0\x07\0\0\0\0";
        let read: Vec<SettingValue> = read_settings(payload).collect();
        let setting = |id, value| SettingValue { id, value };
        let (window, unknown) = (SettingId::InitialWindowSize, SettingId::Unknown);
        assert_eq!(read, [setting(window, 1), setting(unknown, 0x0102_0304), setting(window, 2), setting(unknown, 0)]);
    }

    #[test]
    fn a_setting_that_is_written_is_read() {
        for number in (1..=6).chain([8, 9]) {
            let setting = SettingValue { id: SettingId::of(number), value: 0x8000_0001 };
            assert_eq!(read_settings(&setting.bytes()).collect::<Vec<_>>(), [setting]);
        }
    }

    #[test]
    fn numbers_have_31_bits_where_the_first_is_reserved() {
        assert_eq!(read_window_update(b"\xff\xff\xff\xff"), 0x7fff_ffff);
        assert_eq!(read_window_update(b"\x80\0\0\0"), 0);
        assert_eq!(read_reset(b"\xff\0\0\x08"), ErrorCode(0xff00_0008));
        let goaway = GoawayPayload { last_stream_id: 5, code: ErrorCode::CANCEL, debug_data: b"why" };
        assert_eq!(read_goaway(b"\x80\0\0\x05\0\0\0\x08why"), goaway);
        assert_eq!(read_priority_update(b"\x80\0\0\x07u=1"), PriorityUpdate { stream_id: 7, value: b"u=1" });
        assert_eq!(read_ping(b"12345678"), *b"12345678");
    }
}
