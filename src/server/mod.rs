//! The server: listeners in, answers out.
//!
//! ```text
//!  accept ── a task for each connection ──▶ opening: TLS, which protocol ─┐
//!                                                                        ▼
//!                                           connection: idle ▶ head ▶ turn ▶ verdict ─┐
//!                                               ▲                                     │
//!                                               └────────────── Reuse ────────────────┘
//!  turn: handler ▶ writer (what the answer is) ▶ outbox (when bytes leave) ▶ line (the socket)
//! ```

mod accept;
mod answer;
mod clock;
mod connection;
mod content;
mod desk;
mod event;
mod handler;
mod hijack;
#[cfg(feature = "http2")]
mod http2;
#[cfg(not(feature = "http2"))]
#[path = "http2_absent.rs"]
mod http2;
mod http2_settings;
mod line;
#[cfg(not(feature = "tracing"))]
#[path = "log_stderr.rs"]
mod log;
#[cfg(feature = "tracing")]
#[path = "log_tracing.rs"]
mod log;
mod opening;
mod outbox;
mod outlet;
mod per_core;
mod registry;
mod respond;
#[expect(clippy::module_inception, reason = "the server itself, beside what serves it")]
mod server;
mod settings;
#[cfg(feature = "tls-no-provider")]
mod tls;
mod turn;
mod verdict;
mod writer;

pub use event::{ConnInfo, ConnState, RequestRecord, ServerEvent};
pub use handler::{Handler, HandlerFn, HandlerFuture, StateFn, handle_with};
pub use hijack::Hijacked;
pub use http2_settings::Http2Settings;
#[cfg(feature = "json")]
pub use respond::Json;
pub use respond::{IntoResponse, RespondFn, TryIntoResponse, respond};
pub use server::{
    DEFAULT_MAX_HEADER_BYTES, DEFAULT_MAX_HEADER_VALUE_COUNT, Server, ShutdownReport, listen_and_serve, serve,
};
#[cfg(feature = "tls-no-provider")]
pub use tls::{listen_and_serve_tls, serve_tls};
pub use turn::abort;
pub use verdict::CloseReason;
pub use writer::{AutoField, ResponseWriter};

pub(crate) use handler::AnyHandler;
