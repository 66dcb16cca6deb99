//! The connection as a whole: scripts of frames, and what comes of them.
//!
//! A script is what a peer sends behind its preface and settings. Each is run whole, byte by byte, and cut
//! in two at every byte, and everything that is seen and sent has to be the same each time.
//!
//! `server_scripts`, `server_messages` and `server_suites` name nothing but `script`, and `check_server` of `peer`:
//! `tests/http2` has them once more, with a `peer` that plays them to a whole server over TLS.

mod client_scripts;
mod differential;
mod floods;
mod flow;
mod oracle;
mod pair;
mod peer;
mod script;
mod server_connection;
mod server_messages;
mod server_scripts;
mod server_suites;
mod shutdown;
mod suites;

use super::connection::Http2Core;
use super::event::{CoreEvent, NewRequest, Role};
use super::fields_to_send::{Http2RequestHead, Http2ResponseHead};
use super::received_head::ReceivedHead;
use super::send::{CannotBegin, MessageEnd};
use super::settings::CoreSettings;
use super::{checker, fault, frame};
