//! The router: a request goes to the handler of the most specific pattern that matches it.
//!
//! [`ServeMux`] has the patterns and the rules. [`handle`] registers with the one of the process,
//! [`default_serve_mux`]. [`ServeMux::lookup`] says which route a request would take, as a [`Lookup`];
//! [`ServeMux::routes`] lists each [`Route`]. A [`Group`] is a part of the routes, with middleware of its
//! own; [`ServeMux::mount`] puts a mux into another.
//!
//! The guide has a page on it: `docs/guide/routing.md`.

// The router: a request goes to the handler of the most specific pattern that matches it.
//
// serve_mux   routes registered, requests dispatched
// group       some routes of a mux, and muxes in muxes
//   state       the routes, and how they get there: into each mux that a mux is mounted in
//   dispatch    which route a request goes to, or what the mux responds to by itself
//   scope       middleware, 404 and 405 of a mux or a group, and the steps through them
//   prefix      what stands before the patterns of a group or a mounted mux
//   route       a route as it is listed
//   pattern     [METHOD ][HOST]/[PATH] taken apart
//     segment     what is between two slashes of it
//     host        what stands before its path, and things by host
//     hints       what was meant by patterns of other routers
//     path        paths cleaned, split and decoded; where a redirect leads
//   conflict    which of two patterns is more specific, and why a new one may not be registered
//   tree        the lookup
//   arena       where routes stay, so that they can be lent
//   response    the responses of the mux itself
//
// Everything that can be decided is decided when a route is registered; a lookup only follows the
// tree. The lock is held for the lookup alone, never while a handler runs.

mod arena;
mod conflict;
mod dispatch;
mod group;
mod hints;
mod host;
mod path;
mod pattern;
mod prefix;
mod response;
mod route;
mod scope;
mod segment;
mod serve_mux;
mod state;
#[cfg(test)]
mod tests;
mod tree;

pub use group::Group;
pub use route::Route;
pub use serve_mux::{DefaultServeMux, Lookup, ServeMux, default_serve_mux, handle};
