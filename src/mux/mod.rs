//! The router: a request goes to the handler of the most specific pattern that matches it.
//!
//! ```text
//! pattern   [METHOD ][HOST]/[PATH] taken apart        segment   a path, piece by piece
//! compare   which of two is more specific, or why     clean     paths, hosts, where a redirect leads
//!           they may not stand together               index     whom to compare a new one with
//! tree      the lookup                                arena     where routes stay, to be lent
//! answer    what the mux says itself
//! ```
//!
//! Registration decides everything that can be decided; a lookup only follows the tree. The lock
//! is held for the lookup alone, never while a handler runs.

mod answer;
mod arena;
mod clean;
mod compare;
mod default;
mod index;
mod pattern;
mod segment;
#[cfg(test)]
mod tests;
mod tree;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::panic::Location;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use http::Method;

use answer::Answer;
use arena::Arena;
use index::Index;
use pattern::Pattern;
use tree::{Ending, Found, RouteId, Tree};

pub use default::{DefaultServeMux, default_serve_mux, handle};

use crate::error::{Error, Result};
use crate::message::Request;
use crate::server::{AnyHandler, Handler, HandlerFuture, ResponseWriter};

/// Sends each request to the handler whose pattern matches it best (Go's `ServeMux`).
///
/// A handle: clones share their routes, and routes may be registered while requests are served.
/// An empty mux answers 404.
///
/// # Patterns
/// `[METHOD ][HOST]/[PATH]`, as in Go since 1.22:
///
/// | | matches |
/// |---|---|
/// | `/a` | this path only, for every method and host |
/// | `/a/` | `/a/` and everything below it |
/// | `/a/{$}` | `/a/` only |
/// | `/a/{name}` | one segment, whatever it is |
/// | `/a/{name...}` | `/a/` and everything below it; the value is what comes after `/a/`, perhaps nothing |
/// | `GET /a` | GET and HEAD; every other method matches only itself |
/// | `a.test/` | this host, without regard to its port and to ASCII case |
///
/// A wildcard is all of a segment, and its name is an identifier that is there once. Segments are
/// compared unescaped, one by one: `%2F` is part of a name. A literal brace is `%7B` or `%7D`, a
/// segment that is just a star `%2A`, a colon at the start of one `%3A`. A pattern has at most
/// 256 segments.
///
/// # Precedence
/// A pattern with a host wins over those without. Then the most specific one wins: the one whose
/// requests are all matched by the other too. `/a/{x}` wins over `/a/`, `GET /` over `/`. The
/// order of registration never matters. Two patterns that share a request, and neither is more
/// specific (`/a/{x}` and `/{x}/b`), cannot both be registered.
///
/// # What a handler gets
/// [`Request::pattern`] is the pattern's text and [`Request::path_value`] has the value of each
/// wildcard, unescaped: it may hold a slash, be `..`, or be empty for a rest, and where it is no
/// UTF-8 it has U+FFFD ([`Request::path`] has the bytes as sent). Values that were set before stay
/// when no wildcard has their name, so the values of an outer mux are there for an inner one.
///
/// # What the mux answers itself
/// - 307 to the clean path, when there is `.`, `..` or an empty segment in it, and to the path
///   with a slash, when only that is registered. The query is kept, and so are escapes.
/// - 405 with `Allow` when only other methods are registered for the path, else 404. See
///   [`method_not_allowed`](ServeMux::method_not_allowed) and [`not_found`](ServeMux::not_found).
/// - 400 to a request-target of `*`, and the connection closes.
///
/// The path of a CONNECT request is not cleaned and its host keeps its port. The usual form,
/// `CONNECT host:port`, has no path, so no pattern matches it: a proxy answers it before its mux.
///
/// ```
/// use nethttp::{Request, ResponseWriter, ServeMux};
///
/// let mux = ServeMux::new();
/// mux.handle("GET /posts/{id}", async |w: &mut ResponseWriter, r: &mut Request| {
///     w.write(format!("post {}", r.path_value("id"))).await
/// });
/// mux.handle("GET /posts/latest", async |w: &mut ResponseWriter, _: &mut Request| w.write("the latest").await);
/// ```
#[derive(Clone, Debug, Default)]
pub struct ServeMux {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    routes: Arena<Route>,
    /// Handlers of no route: of 404 and 405.
    fallbacks: Arena<AnyHandler>,
    table: RwLock<Table>,
}

struct Route {
    pattern: Pattern,
    handler: AnyHandler,
}

/// Where in the arenas everything is.
#[derive(Default)]
struct Table {
    tree: Tree,
    /// By host, for hosts never conflict with one another.
    indices: HashMap<Option<Box<str>>, Index>,
    not_found: Option<usize>,
    method_not_allowed: Option<usize>,
}

/// What a [`ServeMux`] would do with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lookup {
    /// Call the handler of a route.
    Matched {
        /// The route's pattern as it was registered.
        pattern: Arc<str>,
    },
    /// Answer 307.
    Redirect {
        /// Path and query to ask for instead.
        location: String,
        /// The pattern that matches there; empty when none does.
        pattern: Arc<str>,
    },
    /// Answer 405.
    MethodNotAllowed {
        /// The methods that are registered for the path, sorted, with commas between.
        allow: String,
    },
    /// Answer 404; or 400, where the request-target is `*`.
    NotFound,
}

/// The same with what it takes to do it.
enum Decision<'a> {
    Route(&'a Route),
    Redirect { location: String, pattern: Option<Arc<str>> },
    MethodNotAllowed { allow: String, handler: Option<&'a AnyHandler> },
    NotFound { handler: Option<&'a AnyHandler> },
    Asterisk,
}

impl ServeMux {
    /// A mux without routes.
    pub fn new() -> ServeMux {
        ServeMux::default()
    }

    /// Has requests that match `pattern` answered by `handler`.
    ///
    /// # Panics
    /// Where [`try_handle`](ServeMux::try_handle) fails, with its message: a wrong pattern, or one
    /// that conflicts, is a mistake in the program.
    #[track_caller]
    pub fn handle(&self, pattern: &str, handler: impl Handler) {
        if let Err(error) = self.try_handle(pattern, handler) {
            panic!("{error}");
        }
    }

    /// The same for patterns that are not known to be right.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), and nothing is registered: the pattern is
    /// malformed, or it shares requests with one that is there while neither is more specific. The
    /// message names both patterns, where each was registered, and paths that show it.
    #[track_caller]
    pub fn try_handle(&self, pattern: &str, handler: impl Handler) -> Result<()> {
        let pattern = Pattern::parse(pattern, Location::caller())?;
        let handler = AnyHandler::new(handler);
        let table = &mut *self.inner.write();
        let index = table.indices.entry(pattern.host.clone()).or_default();
        if let Some(error) = self.conflict(index, &pattern) {
            return Err(error);
        }
        let id = RouteId(self.inner.routes.push(Route { pattern, handler }));
        let route = self.inner.routes.get(id.0).expect("it was put in just now");
        index.add(&route.pattern, id);
        table.tree.insert(&route.pattern, id);
        Ok(())
    }

    /// What this mux would do with a request. Runs no handler and changes nothing: path values
    /// are not filled in.
    pub fn lookup(&self, r: &Request) -> Lookup {
        match self.decide(r) {
            Decision::Route(route) => Lookup::Matched { pattern: route.pattern.text.clone() },
            Decision::Redirect { location, pattern } => {
                Lookup::Redirect { location, pattern: pattern.unwrap_or_default() }
            }
            Decision::MethodNotAllowed { allow, .. } => Lookup::MethodNotAllowed { allow },
            Decision::NotFound { .. } | Decision::Asterisk => Lookup::NotFound,
        }
    }

    /// Has `handler` answer where nothing matches, in place of a plain 404. The status is its to
    /// set. The handler that is set last counts.
    pub fn not_found(&self, handler: impl Handler) {
        let handler = self.inner.fallbacks.push(AnyHandler::new(handler));
        self.inner.write().not_found = Some(handler);
    }

    /// Has `handler` answer where only other methods match, in place of a plain 405. It finds
    /// `Allow` set on the writer's header; the status is its to set. The handler that is set last
    /// counts.
    pub fn method_not_allowed(&self, handler: impl Handler) {
        let handler = self.inner.fallbacks.push(AnyHandler::new(handler));
        self.inner.write().method_not_allowed = Some(handler);
    }

    fn conflict(&self, index: &Index, pattern: &Pattern) -> Option<Error> {
        let others = index.candidates(pattern).filter_map(|id| self.inner.routes.get(id.0));
        others.map(|other| &other.pattern).find_map(|other| compare::conflict(pattern, other))
    }

    /// Decides, and tells the request.
    fn dispatch(&self, r: &mut Request) -> Decision<'_> {
        let decision = self.decide(r);
        r.pattern = match &decision {
            Decision::Route(route) => Some(route.pattern.text.clone()),
            Decision::Redirect { pattern, .. } => pattern.clone(),
            _ => None,
        };
        if let Decision::Route(route) = &decision {
            let values = &mut r.path_values;
            route.pattern.capture(r.uri.path(), |name, value| match values.iter_mut().find(|(n, _)| n == name) {
                Some(entry) => entry.1 = value,
                None => values.push((name.clone(), value)),
            });
        }
        decision
    }

    fn decide(&self, r: &Request) -> Decision<'_> {
        let path = r.path();
        if r.request_uri == "*" || path == "*" {
            return Decision::Asterisk;
        }
        if r.method == Method::CONNECT {
            return self.decide_connect(r, path);
        }
        let table = self.inner.read();
        let host = if table.tree.asks_for_hosts() { clean::without_port(&r.host) } else { "" };
        let path = clean::clean_path(path);
        match find_or_add_slash(&table.tree, host, r.method.as_str(), &path) {
            Target::AddSlash(id) => self.redirect(r, &format!("{path}/"), Some(id)),
            target @ (Target::Route(_) | Target::Nothing) if matches!(path, Cow::Owned(_)) => {
                self.redirect(r, &path, target.route())
            }
            Target::Route(id) => self.route(id),
            Target::Nothing => self.no_route(&table, host, &path),
        }
    }

    /// Go's rules for CONNECT: the target's own host decides whether a slash is missing, the host
    /// of the request which route it is; neither host nor path is cleaned.
    fn decide_connect(&self, r: &Request, path: &str) -> Decision<'_> {
        let table = self.inner.read();
        let authority = r.uri.authority().map_or("", |authority| authority.as_str());
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        if let Target::AddSlash(id) = find_or_add_slash(&table.tree, host, "CONNECT", path) {
            return self.redirect(r, &format!("{path}/"), Some(id));
        }
        match table.tree.find(&r.host, "CONNECT", path, Ending::AsSent) {
            Some(Found::Exact(id) | Found::Within(id)) => self.route(id),
            None => self.no_route(&table, host, path),
        }
    }

    fn route(&self, id: RouteId) -> Decision<'_> {
        Decision::Route(self.inner.routes.get(id.0).expect("the tree leads to routes that are there"))
    }

    fn redirect(&self, r: &Request, path: &str, id: Option<RouteId>) -> Decision<'_> {
        let route = id.and_then(|id| self.inner.routes.get(id.0));
        Decision::Redirect {
            location: clean::location(path, r.uri.query()),
            pattern: route.map(|route| route.pattern.text.clone()),
        }
    }

    fn no_route(&self, table: &Table, host: &str, path: &str) -> Decision<'_> {
        let fallback = |index: Option<usize>| index.and_then(|index| self.inner.fallbacks.get(index));
        let allowed = Vec::from_iter(table.tree.allowed(host, path));
        if allowed.is_empty() {
            return Decision::NotFound { handler: fallback(table.not_found) };
        }
        Decision::MethodNotAllowed { allow: allowed.join(", "), handler: fallback(table.method_not_allowed) }
    }
}

impl Handler for ServeMux {
    async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        self.serve_http_boxed(w, r).await
    }

    fn serve_http_boxed<'a>(&'a self, w: &'a mut ResponseWriter, r: &'a mut Request) -> HandlerFuture<'a> {
        match self.dispatch(r) {
            Decision::Route(route) => route.handler.serve(w, r),
            Decision::Redirect { location, .. } => Answer::redirect(location, &r.method).send(w),
            Decision::MethodNotAllowed { allow, handler } => {
                w.header().set("Allow", allow);
                match handler {
                    Some(handler) => handler.serve(w, r),
                    None => Answer::method_not_allowed().send(w),
                }
            }
            Decision::NotFound { handler: Some(handler) } => handler.serve(w, r),
            Decision::NotFound { handler: None } => Answer::not_found().send(w),
            Decision::Asterisk => Answer::asterisk(r).send(w),
        }
    }
}

/// What a path leads to.
enum Target {
    Route(RouteId),
    /// To nothing but a part of a rest, while with a slash at its end it leads here.
    AddSlash(RouteId),
    Nothing,
}

impl Target {
    fn route(&self) -> Option<RouteId> {
        match *self {
            Target::Route(id) | Target::AddSlash(id) => Some(id),
            Target::Nothing => None,
        }
    }
}

fn find_or_add_slash(tree: &Tree, host: &str, method: &str, path: &str) -> Target {
    let found = tree.find(host, method, path, Ending::AsSent);
    if !matches!(found, Some(Found::Exact(_))) && !path.is_empty() && !path.ends_with('/') {
        if let Some(Found::Exact(id)) = tree.find(host, method, path, Ending::WithSlash) {
            return Target::AddSlash(id);
        }
    }
    match found {
        Some(Found::Exact(id) | Found::Within(id)) => Target::Route(id),
        None => Target::Nothing,
    }
}

impl Inner {
    // Nothing panics while it holds the lock, so a poisoned one guards a table that is whole.
    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.routes.iter().map(|route| &route.pattern.text)).finish()
    }
}
