//! `nethttp proxy` as its users run it, in front of servers of the test's own.
#![allow(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

mod clients;
mod config;
mod logs;
mod peers;
mod routes;
mod support;
mod upstreams;
