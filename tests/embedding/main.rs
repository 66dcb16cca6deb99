//! Handlers without a connection of their own: recorded by tests, called from other servers, and the servers
//! that `testing` starts.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

mod calls;
mod recorded;
mod servers;
