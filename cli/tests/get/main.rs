//! `nethttp get` as its users run it, against servers of the test's own.
#![allow(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

#[cfg(target_os = "linux")]
mod disk;
mod exits;
mod output;
mod requests;
mod resume;
mod retry;
mod support;
mod tls;
mod ways;
