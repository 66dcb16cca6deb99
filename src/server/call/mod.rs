//! A handler called without a connection: for tests, and inside of other servers.
//!
//! ```text
//!  request ──▶ received ──▶ the handler's future ──▶ writer ──▶ CallIo ──▶ head, content, trailer
//!                             ▲                                              │
//!                             └──────── polled by the one who reads ◀────────┘
//! ```
//!
//! There is no task: whoever waits for the head, or reads the body, polls the handler as well. Between two
//! reads nothing runs. Whoever stops reading drops the handler's future, and with it all that it holds.

mod call_body;
pub(crate) mod call_io;
mod driver;
mod received;

pub use call_body::{Call, call};
pub(crate) use call_io::CallContent;
pub(crate) use driver::CallDriver;
