//! Programs as users write them, whole, and tried. They say what the crate costs in lines: `README.md` here has a
//! table of them, and a test counts them.
#![cfg(all(feature = "client", feature = "server", feature = "http2", feature = "tls", feature = "gzip"))]
#![cfg(all(feature = "cookies", feature = "json"))]
#![allow(clippy::unwrap_used, reason = "what fails in a test fails it")]
// A program is shown as its user has it, with all of its parts.
#![allow(dead_code, reason = "the parts that only a main function would use")]

mod accounts;
mod chain;
mod crawler;
mod crud;
mod events;
mod from_go;
mod gallery;
mod gateway;
mod json_errors;
mod lines;
mod metrics;
mod renewal;
mod shutdown;
mod site;
mod stub;
mod upgrade;
