//! The vocabulary: what a request and a response are, on both sides and for every protocol.
//!
//! No runtime, no clock that is waited for, no bytes of any protocol.

mod body;
#[cfg(feature = "charset")]
mod charset;
#[cfg(not(feature = "charset"))]
#[path = "charset_absent.rs"]
mod charset;
pub(crate) mod coding;
mod connection;
mod context;
mod cookie;
mod date;
mod form;
mod header;
mod http_body;
mod mime;
mod multipart;
mod octets;
mod parameters;
mod request;
mod response;
mod signal;
mod sniff;
#[cfg(feature = "serde")]
mod typed;
mod uri;
#[cfg(feature = "server")]
mod vary;

pub use body::{Body, DEFAULT_MAX_TEXT_BYTES};
pub use coding::{CompressionLevel, ContentCoding};
pub use connection::{Addr, Protocols, TlsInfo, TlsVersion};
pub use context::{CancelGuard, Context};
pub(crate) use context::{ContextTimer, TimerFuture};
pub use cookie::{Cookie, SameSite, parse_cookie, parse_set_cookie, set_cookie};
pub use date::{format_time, parse_time};
pub use form::Values;
pub use header::{Header, canonical_header_key};
pub use multipart::{Multipart, MultipartLimits, Part};
pub(crate) use request::basic_credentials;
pub use request::{Request, Timeouts};
pub use response::{DEFAULT_MAX_CLIENT_BYTES, Redirected, Response, Timings};
pub use sniff::detect_content_type;

pub(crate) use body::{BodyAllowance, Frame, Source};
pub(crate) use context::ConnContext;
#[cfg(all(feature = "client", feature = "cookies"))]
pub(crate) use cookie::read_cookie_date;
#[cfg(all(feature = "server", feature = "http2"))]
pub(crate) use date::append_date;
pub(crate) use date::{append_date_line, civil_date};
pub(crate) use form::{malformed, unescape_form};
pub(crate) use header::{Known, list_has};
pub(crate) use mime::type_by_extension;
pub(crate) use multipart::{random_boundary, random_number};
pub(crate) use octets::{count_controls, decimal, has, has_control, has_control_or_tab, is_token, is_token_byte};
#[cfg(all(feature = "serde", feature = "server"))]
pub(crate) use request::FormContent;
#[cfg(feature = "server")]
pub(crate) use request::{Retargeted, with_path_and_query};
pub(crate) use response::ResponseInfo;
pub(crate) use signal::Signal;
#[cfg(all(feature = "serde", feature = "server"))]
pub(crate) use typed::{FieldProblem, FieldTree, RequestPart, unsupported};
pub(crate) use uri::{NOT_IN_A_PATH, host_and_port, unescape_segment, without_credentials};
#[cfg(feature = "server")]
pub(crate) use uri::{folded_host, without_port};
#[cfg(feature = "server")]
pub(crate) use vary::add_to_vary;
