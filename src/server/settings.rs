//! The settings of a server as they were when serving began: its listeners and connections share them.
//! Behind them, what it allows on an HTTP/2 connection.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use http::Extensions;

use super::error_info::ErrorInfo;
use super::event::{ConnInfo, ConnState, ServerEvent};
use super::handler::BoxHandler;
use super::record::RequestRecord;
use super::state::State;
use crate::h1::HeadLimits;
use crate::message::{Protocols, Response};
use crate::net::TlsAccept;

/// Limits and hooks, resolved: `None` is no limit.
pub(crate) struct Settings {
    pub(crate) handler: BoxHandler,
    pub(crate) head_limits: HeadLimits,
    pub(crate) head_timeout: Option<Duration>,
    pub(crate) read_timeout: Option<Duration>,
    pub(crate) write_timeout: Option<Duration>,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) stall_timeout: Option<Duration>,
    pub(crate) drain_bytes: u64,
    pub(crate) drain_timeout: Duration,
    pub(crate) linger_timeout: Duration,
    pub(crate) max_connections: usize,
    pub(crate) protocols: Protocols,
    pub(crate) http2: Http2Settings,
    pub(crate) answers_general_options: bool,
    /// Also where TLS is served.
    pub(crate) serves_plain_http: bool,
    pub(crate) on_event: Option<Arc<dyn Fn(&ServerEvent) + Send + Sync>>,
    pub(crate) conn_state: Option<Arc<dyn Fn(&ConnInfo, ConnState) + Send + Sync>>,
    pub(crate) on_request: Option<Arc<dyn Fn(&RequestRecord) + Send + Sync>>,
    pub(crate) on_error: Option<Arc<dyn Fn(&ErrorInfo<'_>) -> Option<Response> + Send + Sync>>,
    pub(crate) conn_context: Option<Arc<dyn Fn(Extensions, &ConnInfo) -> Extensions + Send + Sync>>,
    /// The values of every request's context.
    pub(crate) values: Arc<Extensions>,
    pub(crate) state: Arc<State>,
    /// Does the TLS handshake of each connection before anything else is read from it.
    pub(crate) secure: Option<Arc<dyn TlsAccept>>,
}

/// Those of a server for the handlers that its own handlers call without a connection, behind a service for
/// example. Among the values of its requests' contexts, and in the extensions of a request that has no such context.
#[derive(Clone)]
pub(crate) struct CallSettings(pub(crate) Arc<Settings>);

impl Settings {
    /// Reports an event to the user's sink, else to the log. A sink that panics is not called about that.
    pub(crate) fn report(&self, event: &ServerEvent) {
        match &self.on_event {
            Some(sink) => _ = catch(|| sink(event)),
            None => event.log(),
        }
    }

    /// Calls a user's hook and catches its panic, which must not end the caller: an accept loop, or a
    /// connection that is being removed from the registry.
    pub(crate) fn call<T>(&self, hook: &'static str, act: impl FnOnce() -> T) -> Option<T> {
        match catch(act) {
            Ok(value) => Some(value),
            Err(payload) => {
                self.report(&ServerEvent::HookPanicked { hook, message: panic_message(&*payload) });
                None
            }
        }
    }
}

/// Catches a panic of the user's code. The state that the panic leaves half-changed is the user's, so unwind
/// safety is asserted.
pub(crate) fn catch<T>(act: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    catch_unwind(AssertUnwindSafe(act))
}

/// The message of a panic.
pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a value that is no text".to_owned())
}

/// The limits of HTTP/2 connections (Go's `HTTP2Config`); see [`Server::http2`](crate::Server::http2).
///
/// A number of 0 is the default of its field, as is one that the protocol does not allow. Without
/// the feature `http2` they have no effect.
///
/// A peer that exceeds one of these limits has its connection closed with GOAWAY, which is reported as
/// [`ServerEvent::Http2Closed`](crate::server::ServerEvent::Http2Closed). Limits on a rate are counted over ten
/// seconds.
///
/// ```
/// use nethttp::server::Http2Settings;
/// use nethttp::{Request, ResponseWriter, Server};
///
/// # async fn hello(w: &mut ResponseWriter, _: &mut Request) -> nethttp::Result<()> { Ok(()) }
/// let mut server = Server::new(hello);
/// server.http2 = Http2Settings { max_concurrent_streams: 100, ..Http2Settings::default() };
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Http2Settings {
    /// The most requests at a time on one connection, and the most handlers that run for one:
    /// those of requests that the peer has given up count until they return. Further streams are
    /// refused with REFUSED_STREAM. Default: 250.
    pub max_concurrent_streams: u32,
    /// The largest frame that is read, 16 KiB to 16 MiB less one byte. Each connection may make
    /// the server hold one. Default: 16 KiB (Go: 1 MiB).
    pub max_read_frame_size: u32,
    /// How much content of all requests of a connection may wait to be read before that holds up other
    /// requests. As much again may come after that, and then no more. Default: 1 MiB.
    pub max_receive_buffer_per_connection: u32,
    /// How much content of one request may wait to be read. Default: 256 KiB (Go: 1 MiB), so that
    /// one request that is not read leaves room for others.
    pub max_receive_buffer_per_stream: u32,
    /// How much of one response may wait to be sent, beyond what its handler is writing. Default:
    /// 64 KiB.
    pub max_send_buffer_per_stream: u32,
    /// The table that compresses the peer's fields, in bytes. Default: 4,096.
    pub max_decoder_header_table_size: u32,
    /// The table that compresses the fields of responses, in bytes, as far as the peer allows it; below 4 MiB.
    /// It is searched for each field, so that a large one costs time; each connection has one. Default: 4,096.
    pub max_encoder_header_table_size: u32,
    /// A PING is sent on a connection that has been silent for so long. Zero, the default: never.
    pub send_ping_timeout: Duration,
    /// How long the answer to that may take, else the connection is closed. Default and zero: 15 s.
    pub ping_timeout: Duration,
    /// The most requests that the peer may reset at once: those that come in what is read together with their
    /// resets. Default: 20.
    pub max_pending_resets: u32,
    /// The most streams that the server has to reset on one connection because the peer broke
    /// their rules (MadeYouReset). Default: 1,024.
    pub max_local_resets: u32,
    /// The most requests that the peer may give up (rapid reset), less those that were answered.
    /// Default: 500.
    pub max_resets: u32,
    /// The most frames that bring neither a request nor content: PING, SETTINGS, PRIORITY, empty
    /// DATA, CONTINUATION, WINDOW_UPDATE, unknown ones. Each DATA frame that is sent allows ten more.
    /// Default: 10,000 (Go's cap on frames that wait to be answered).
    pub max_control_frames: u32,
    /// How many small DATA frames may come that nobody reads: each counts what it has less than 64 bytes of
    /// content. Default: half of `max_receive_buffer_per_connection`, which is 8,322 frames of a byte each.
    pub data_frame_budget: u32,
    /// Whether clients may ask for a tunnel on a stream (extended CONNECT, RFC 8441), as browsers do for a
    /// WebSocket: [`ResponseWriter::upgrade`](crate::ResponseWriter::upgrade) then agrees over HTTP/2 too.
    /// Default: false, as in Go. A browser that may does so, and does not try HTTP/1.1 after it, and many
    /// implementations of WebSocket want the `Sec-WebSocket-Key` that only HTTP/1.1 has.
    pub enable_connect_protocol: bool,
}

impl Default for Http2Settings {
    fn default() -> Http2Settings {
        Http2Settings {
            max_concurrent_streams: 250,
            max_read_frame_size: MIN_FRAME_BYTES,
            max_receive_buffer_per_connection: 1 << 20,
            max_receive_buffer_per_stream: 256 << 10,
            max_send_buffer_per_stream: 64 << 10,
            max_decoder_header_table_size: 4096,
            max_encoder_header_table_size: 4096,
            send_ping_timeout: Duration::ZERO,
            ping_timeout: Duration::from_secs(15),
            max_pending_resets: 20,
            max_local_resets: 1024,
            max_resets: 500,
            max_control_frames: 10_000,
            data_frame_budget: 0,
            enable_connect_protocol: false,
        }
    }
}

/// RFC 9113 §6.5.2: what SETTINGS_MAX_FRAME_SIZE may be.
const MIN_FRAME_BYTES: u32 = 16 << 10;
const MAX_FRAME_BYTES: u32 = (1 << 24) - 1;
/// RFC 9113 §6.9.1.
const MAX_WINDOW_BYTES: u32 = (1 << 31) - 1;
/// Go's: a table of 4 MiB or more is a mistake.
const MAX_TABLE_BYTES: u32 = 4 << 20;

impl Http2Settings {
    /// The same with the default in place of each number that is 0 or out of its range.
    pub(crate) fn resolved(self) -> Http2Settings {
        let default = Http2Settings::default();
        let within = |number: u32, least: u32, most: u32, default: u32| {
            if (least..=most).contains(&number) { number } else { default }
        };
        let any = |number, default| within(number, 1, u32::MAX, default);
        Http2Settings {
            max_concurrent_streams: any(self.max_concurrent_streams, default.max_concurrent_streams),
            max_read_frame_size: within(self.max_read_frame_size, MIN_FRAME_BYTES, MAX_FRAME_BYTES, MIN_FRAME_BYTES),
            // RFC 9113 §6.9.2: a connection's window cannot be smaller than it is at first.
            max_receive_buffer_per_connection: within(
                self.max_receive_buffer_per_connection,
                65_535,
                MAX_WINDOW_BYTES,
                default.max_receive_buffer_per_connection,
            ),
            max_receive_buffer_per_stream: within(
                self.max_receive_buffer_per_stream,
                1,
                MAX_WINDOW_BYTES,
                default.max_receive_buffer_per_stream,
            ),
            max_send_buffer_per_stream: any(self.max_send_buffer_per_stream, default.max_send_buffer_per_stream),
            max_decoder_header_table_size: within(
                self.max_decoder_header_table_size,
                1,
                MAX_TABLE_BYTES - 1,
                default.max_decoder_header_table_size,
            ),
            max_encoder_header_table_size: within(
                self.max_encoder_header_table_size,
                1,
                MAX_TABLE_BYTES - 1,
                default.max_encoder_header_table_size,
            ),
            send_ping_timeout: self.send_ping_timeout,
            ping_timeout: if self.ping_timeout.is_zero() { default.ping_timeout } else { self.ping_timeout },
            max_pending_resets: any(self.max_pending_resets, default.max_pending_resets),
            max_local_resets: any(self.max_local_resets, default.max_local_resets),
            max_resets: any(self.max_resets, default.max_resets),
            max_control_frames: any(self.max_control_frames, default.max_control_frames),
            data_frame_budget: self.data_frame_budget,
            enable_connect_protocol: self.enable_connect_protocol,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_zero_or_out_of_range_is_the_default_each_for_itself() {
        let odd = Http2Settings {
            max_concurrent_streams: 0,
            max_read_frame_size: 100,
            max_receive_buffer_per_connection: 1,
            max_receive_buffer_per_stream: u32::MAX,
            max_decoder_header_table_size: u32::MAX,
            max_encoder_header_table_size: 0,
            ping_timeout: Duration::ZERO,
            max_resets: 7,
            ..Http2Settings::default()
        };
        assert_eq!(odd.resolved(), Http2Settings { max_resets: 7, ..Http2Settings::default() });
        let large = Http2Settings { max_read_frame_size: 1 << 20, ..Http2Settings::default() };
        assert_eq!(large.resolved(), large);
    }
}
