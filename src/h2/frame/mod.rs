//! Frames (RFC 9113 §4 and §6, RFC 9218 §7.1): what each may be by itself, whatever the connection's state.

mod head;
mod payload;

pub(crate) use head::{FRAME_HEAD_BYTES, FrameFlags, FrameHead, FrameKind};
pub(crate) use payload::{
    DataPadding, SettingId, SettingValue, depends_on_itself, read_goaway, read_headers, read_padding, read_ping,
    read_priority_update, read_reset, read_settings, read_window_update,
};

/// What a client sends first (RFC 9113 §3.4).
pub(crate) const CONNECTION_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The least and the most that SETTINGS_MAX_FRAME_SIZE may be (RFC 9113 §6.5.2).
pub(crate) const MIN_MAX_FRAME_BYTES: u32 = 1 << 14;
pub(crate) const MAX_MAX_FRAME_BYTES: u32 = (1 << 24) - 1;
