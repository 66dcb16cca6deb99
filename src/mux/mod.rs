//! The router: a request goes to the handler of the most specific pattern that matches it.
//!
//! [`ServeMux`] has the patterns and the rules. [`handle`] registers with the one of the process,
//! [`default_serve_mux`]. [`ServeMux::lookup`] says which route a request would take, as a [`Lookup`].
//!
//! The guide has a page on it: `docs/guide/routing.md`.

// The router: a request goes to the handler of the most specific pattern that matches it.
//
// serve_mux   routes registered, requests dispatched
//   pattern     [METHOD ][HOST]/[PATH] taken apart
//     path        paths cleaned, split and decoded; hosts; where a redirect leads
//   conflict    which of two patterns is more specific, and why a new one may not be registered
//   tree        the lookup
//   arena       where routes stay, so that they can be lent
//   response    the responses of the mux itself
//
// Everything that can be decided is decided when a route is registered; a lookup only follows the
// tree. The lock is held for the lookup alone, never while a handler runs.

mod arena;
mod conflict;
mod path;
mod pattern;
mod response;
mod serve_mux;
#[cfg(test)]
mod tests;
mod tree;

pub use serve_mux::{DefaultServeMux, Lookup, ServeMux, default_serve_mux, handle};
