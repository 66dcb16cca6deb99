//! What a transport's HTTP/2 connections allow their servers.

use std::time::Duration;

/// The settings of a transport's HTTP/2 connections (Go's `HTTP2Config`); see
/// [`Transport::http2`](crate::Transport::http2). The server's are
/// [`Http2Settings`](crate::server::Http2Settings).
///
/// A number of 0 is the default of its field, as is one that the protocol does not allow. They count as they
/// are at the transport's first request, for all its connections. Without the feature `http2` they have no
/// effect. How many requests share a connection is the server's to say, and what happens when it takes no more
/// is [`strict_max_concurrent_streams`](crate::Transport::strict_max_concurrent_streams).
///
/// ```
/// use nethttp::Transport;
/// use nethttp::client::Http2TransportSettings;
/// use std::time::Duration;
///
/// let mut transport = Transport::new();
/// transport.http2 = Http2TransportSettings {
///     max_receive_buffer_per_stream: 256 << 10, // many bodies at a time, each held to little
///     send_ping_timeout: Duration::from_secs(5),
///     ..Http2TransportSettings::default()
/// };
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Http2TransportSettings {
    /// The largest frame that is read, 16 KiB to 16 MiB less one byte. Each connection may make this side
    /// hold one head of that size. Default: 16 KiB, which saves no copies by being larger (Go: 1 MiB).
    pub max_read_frame_size: u32,
    /// How far a server may be ahead of the readers of all bodies of a connection, in bytes; 65,535 is the
    /// least that the protocol allows. Default: 64 MiB (Go: 1 GiB).
    pub max_receive_buffer_per_connection: u32,
    /// How far it may be ahead of the reader of one body, which is what a body that nobody reads holds at most.
    /// The most that a connection can carry is this once in each round trip: 4 MiB and 100 ms are 335 Mbit/s.
    /// Default: 4 MiB.
    pub max_receive_buffer_per_stream: u32,
    /// The table that decompresses the server's fields, in bytes; below 4 MiB. Default: 4,096.
    pub max_decoder_header_table_size: u32,
    /// The table that compresses this side's fields, in bytes, as far as the server allows it; below 4 MiB.
    /// It is searched for each field, so that a large one costs time. Default: 4,096.
    pub max_encoder_header_table_size: u32,
    /// A PING is sent when a server has been silent for so long while requests wait for it. Default: 15 s (Go:
    /// never). [`Duration::MAX`]: never; then only a request without an answer asks whether the server is there.
    pub send_ping_timeout: Duration,
    /// How long the answer to that may take, else the connection has failed and with it all its requests.
    /// Default: 15 s. Within the first second, or less where this is less, the connection is not used for new
    /// requests.
    pub ping_timeout: Duration,
}

impl Default for Http2TransportSettings {
    fn default() -> Http2TransportSettings {
        Http2TransportSettings {
            max_read_frame_size: MIN_FRAME_BYTES,
            max_receive_buffer_per_connection: 64 << 20,
            max_receive_buffer_per_stream: 4 << 20,
            max_decoder_header_table_size: 4096,
            max_encoder_header_table_size: 4096,
            send_ping_timeout: Duration::from_secs(15),
            ping_timeout: Duration::from_secs(15),
        }
    }
}

/// RFC 9113 §6.5.2: what SETTINGS_MAX_FRAME_SIZE may be.
const MIN_FRAME_BYTES: u32 = 16 << 10;
const MAX_FRAME_BYTES: u32 = (1 << 24) - 1;
/// RFC 9113 §6.9.2: no setting makes a connection's window smaller than it is at first.
const MIN_CONNECTION_WINDOW_BYTES: u32 = 65_535;
/// RFC 9113 §6.9.1.
const MAX_WINDOW_BYTES: u32 = (1 << 31) - 1;
/// Go's: a table of 4 MiB or more is a mistake.
const MAX_TABLE_BYTES: u32 = (4 << 20) - 1;

impl Http2TransportSettings {
    /// The same with the default in place of each number that is 0 or out of its range.
    pub(crate) fn resolved(self) -> Http2TransportSettings {
        let default = Http2TransportSettings::default();
        let within = |number: u32, (least, most): (u32, u32), default: u32| {
            if (least..=most).contains(&number) { number } else { default }
        };
        let time = |length: Duration, default: Duration| if length.is_zero() { default } else { length };
        let connection_window = (MIN_CONNECTION_WINDOW_BYTES, MAX_WINDOW_BYTES);
        Http2TransportSettings {
            max_read_frame_size: within(
                self.max_read_frame_size,
                (MIN_FRAME_BYTES, MAX_FRAME_BYTES),
                default.max_read_frame_size,
            ),
            max_receive_buffer_per_connection: within(
                self.max_receive_buffer_per_connection,
                connection_window,
                default.max_receive_buffer_per_connection,
            ),
            max_receive_buffer_per_stream: within(
                self.max_receive_buffer_per_stream,
                (1, MAX_WINDOW_BYTES),
                default.max_receive_buffer_per_stream,
            ),
            max_decoder_header_table_size: within(
                self.max_decoder_header_table_size,
                (1, MAX_TABLE_BYTES),
                default.max_decoder_header_table_size,
            ),
            max_encoder_header_table_size: within(
                self.max_encoder_header_table_size,
                (1, MAX_TABLE_BYTES),
                default.max_encoder_header_table_size,
            ),
            send_ping_timeout: time(self.send_ping_timeout, default.send_ping_timeout),
            ping_timeout: time(self.ping_timeout, default.ping_timeout),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_is_zero_or_out_of_range_is_the_default_each_for_itself() {
        let odd = Http2TransportSettings {
            max_read_frame_size: 100,
            max_receive_buffer_per_connection: 65_534,
            max_receive_buffer_per_stream: u32::MAX,
            max_decoder_header_table_size: 4 << 20,
            max_encoder_header_table_size: 0,
            send_ping_timeout: Duration::ZERO,
            ping_timeout: Duration::from_secs(3),
        };
        let resolved =
            Http2TransportSettings { ping_timeout: Duration::from_secs(3), ..Http2TransportSettings::default() };
        assert_eq!(odd.resolved(), resolved);
        let small = Http2TransportSettings {
            max_read_frame_size: 1 << 20,
            max_receive_buffer_per_connection: 65_535,
            max_receive_buffer_per_stream: 1,
            max_decoder_header_table_size: 1,
            max_encoder_header_table_size: 100,
            send_ping_timeout: Duration::MAX,
            ping_timeout: Duration::MAX,
        };
        assert_eq!(small.resolved(), small);
    }
}
