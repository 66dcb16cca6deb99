//! Serves requests: [`Server`] and its settings, handlers and their responses, events.
//!
//! [`Server`] has the settings with their defaults, graceful shutdown, and the hooks: [`ServerEvent`] for
//! what goes wrong, [`RequestRecord`] for each request that was answered, [`ConnState`] for connections.
//! [`Handler`] says which forms a handler has; [`handle_with`] and [`respond`] make handlers of functions
//! with a state and of functions that return their response.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use nethttp::server::{Server, ServerEvent};
//! use nethttp::{Request, ResponseWriter};
//!
//! let mut server = Server::new(async |w: &mut ResponseWriter, _: &mut Request| w.write("hello\n").await);
//! server.on_event = Some(Arc::new(|event: &ServerEvent| eprintln!("{event}")));
//! ```
//!
//! The guide has a page on it: `docs/guide/serving.md`.

// The server: from a listener to the responses on its connections.
//
//  accept ── a task for each connection ──▶ http1/connection ── preface of HTTP/2 ──▶ http2/connection
//                                             │          ▲                            │
//                         handshake (TLS) ◀───┤          │ kept                       │ a stream each
//                                             ▼          │                            ▼
//                                            http1/exchange                     http2/exchange
//                                             │                                       │
//                                             └──▶ exchange: handler, errors ◀────────┘
//                                                     │
//                                  response: writer ─▶ decide ─▶ sink ─▶ http1/conn_io, http2/stream_io or call/call_io
//
//  beside them: registry (which connections there are, and commands to them), scratch (memory for an
//  exchange, reused), state (what changes while a server serves), settings (what does not), call (a
//  handler called without a connection)

mod accept;
mod cached_now;
mod call;
mod close_reason;
mod conn_task;
mod error_info;
mod error_response;
mod event;
mod exchange;
mod first_of;
mod handle_with;
pub(crate) mod handler;
mod handshake;
mod hijack;
mod http1;
#[cfg(feature = "http2")]
mod http2;
#[cfg(not(feature = "http2"))]
#[path = "http2_absent.rs"]
mod http2;
pub(crate) mod middleware;
mod per_core;
mod readiness;
mod record;
mod registration;
mod registry;
mod respond;
mod response;
mod scratch;
#[expect(clippy::module_inception, reason = "the server itself, beside what serves it")]
mod server;
mod service_manager;
mod settings;
mod state;
#[cfg(feature = "tls-no-provider")]
pub(crate) mod tls;
#[cfg(all(feature = "socket-activation", unix))]
mod until_replaced;
mod until_signal;

pub use crate::message::Protocols;
pub use call::{Call, call};
pub use close_reason::CloseReason;
pub use error_info::ErrorInfo;
pub use error_response::problem_details;
pub use event::{ConnInfo, ConnState, ServerEvent};
pub use exchange::abort;
pub use handle_with::{ErrInto, ErrIntoFuture, OwnErrorFn, OwnErrorStateFn, StateFn, StateOf, err_into, handle_with};
pub use handler::{BoxHandler, Handler, HandlerFn, HandlerFuture, Middleware, Next};
pub use hijack::Hijacked;
pub use middleware::{MiddlewareFn, MiddlewareStateFn};
pub use readiness::{Readiness, liveness};
pub use record::{RequestRecord, ResponseEnd};
#[cfg(feature = "json")]
pub use respond::Json;
pub use respond::{IntoResponse, RespondFn, RespondStateFn, TryIntoResponse, respond, respond_with};
pub use response::{AutoField, ContentFilter, ResponseHead, ResponseWriter};
pub use server::{
    DEFAULT_MAX_HEADER_BYTES, DEFAULT_MAX_HEADER_VALUE_COUNT, Server, ShutdownReport, listen_and_serve, serve,
};
pub use service_manager::ServiceManager;
pub use settings::Http2Settings;
pub use until_signal::serve_until_signal;

pub(crate) use call::{CallContent, CallDriver};
pub(crate) use exchange::is_abort;
pub(crate) use handler::{Chain, Position};
pub(crate) use settings::{CallSettings, catch, panic_message};
