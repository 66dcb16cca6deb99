//! The mux itself: routes registered, requests dispatched. And the mux that the process shares.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::panic::Location;
use std::sync::{Arc, LazyLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use http::Method;

use super::arena::Arena;
use super::conflict::{Index, conflict};
use super::path::{clean_path, location};
use super::pattern::Pattern;
use super::response::MuxResponse;
use super::tree::{Ending, RouteId, RouteMatch, Tree};
use crate::error::{Error, Result};
use crate::message::{Request, without_port};
use crate::server::middleware::BoxMiddleware;
use crate::server::{BoxHandler, Chain, Handler, HandlerFuture, Middleware, Next, ResponseWriter};

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
/// | `a.test/` | this host, without regard to its port, to ASCII case, and to a dot at its end |
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
/// UTF-8 it is empty ([`Request::path`] has it as sent). Values that were set before stay
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
    pub(super) inner: Arc<MuxState>,
}

#[derive(Default)]
pub(super) struct MuxState {
    routes: Arena<Route>,
    /// The outermost first.
    middleware: Arena<BoxMiddleware>,
    /// The handlers for 404 and 405.
    fallbacks: Arena<BoxHandler>,
    table: RwLock<Table>,
}

pub(super) struct Route {
    pub(super) pattern: Pattern,
    handler: BoxHandler,
}

/// The indices of everything in the arenas.
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

/// A decision, with what is needed to carry it out.
pub(super) enum Dispatch<'a> {
    Route(&'a Route),
    Redirect { location: String, pattern: Option<Arc<str>> },
    MethodNotAllowed { allow: String, handler: Option<&'a BoxHandler> },
    NotFound { handler: Option<&'a BoxHandler> },
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
        let handler = handler.boxed();
        let table = &mut *self.inner.write();
        let index = table.indices.entry(pattern.host.clone()).or_default();
        if let Some(error) = self.inner.conflict_with(index, &pattern) {
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
        match self.inner.decide(r) {
            Dispatch::Route(route) => Lookup::Matched { pattern: route.pattern.text.clone() },
            Dispatch::Redirect { location, pattern } => {
                Lookup::Redirect { location, pattern: pattern.unwrap_or_default() }
            }
            Dispatch::MethodNotAllowed { allow, .. } => Lookup::MethodNotAllowed { allow },
            Dispatch::NotFound { .. } | Dispatch::Asterisk => Lookup::NotFound,
        }
    }

    /// Has `handler` answer where nothing matches, in place of a plain 404. The status is its to
    /// set. The handler that is set last counts.
    pub fn not_found(&self, handler: impl Handler) {
        let handler = self.inner.fallbacks.push(handler.boxed());
        self.inner.write().not_found = Some(handler);
    }

    /// Has `handler` answer where only other methods match, in place of a plain 405. It finds
    /// `Allow` set on the writer's header; the status is its to set. The handler that is set last
    /// counts.
    pub fn method_not_allowed(&self, handler: impl Handler) {
        let handler = self.inner.fallbacks.push(handler.boxed());
        self.inner.write().method_not_allowed = Some(handler);
    }

    /// Puts a middleware around all that this mux does: its routes, those that are registered later too,
    /// and its own 404, 405 and redirects. The one that is given first is the outermost.
    ///
    /// It runs before a route is chosen: a target that it changes is looked up as changed, and
    /// [`Request::pattern`] is set once [`Next::run`] has returned. One that needs the pattern
    /// beforehand, or is for a part of the routes, is given to a `group`.
    /// Requests that are already being answered go on without it.
    ///
    /// ```
    /// use nethttp::{Next, Request, ResponseWriter, Result, ServeMux};
    ///
    /// async fn log(w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
    ///     let result = next.run(w, r).await;
    ///     println!("{} {} by {:?}", r.method, r.path(), r.pattern);
    ///     result
    /// }
    ///
    /// let mux = ServeMux::new();
    /// mux.wrap(log);
    /// mux.handle("GET /", async |w: &mut ResponseWriter, _: &mut Request| w.write("hello").await);
    /// ```
    pub fn wrap(&self, middleware: impl Middleware) {
        self.inner.middleware.push(BoxMiddleware::new(middleware));
    }
}

impl MuxState {
    fn conflict_with(&self, index: &Index, pattern: &Pattern) -> Option<Error> {
        let others = index.candidates(pattern).filter_map(|id| self.routes.get(id.0));
        others.map(|other| &other.pattern).find_map(|other| conflict(pattern, other))
    }

    /// Decides, and records the pattern and the path values in the request.
    pub(super) fn dispatch(&self, r: &mut Request) -> Dispatch<'_> {
        let decision = self.decide(r);
        r.pattern = match &decision {
            Dispatch::Route(route) => Some(route.pattern.text.clone()),
            Dispatch::Redirect { pattern, .. } => pattern.clone(),
            _ => None,
        };
        if let Dispatch::Route(route) = &decision {
            let values = &mut r.path_values;
            route.pattern.capture(r.uri.path(), |name, value| match values.iter_mut().find(|(n, _)| n == name) {
                Some(entry) => entry.1 = value,
                None => values.push((name.clone(), value)),
            });
        }
        decision
    }

    pub(super) fn decide(&self, r: &Request) -> Dispatch<'_> {
        let path = r.escaped_path();
        if r.request_uri == "*" || path == "*" {
            return Dispatch::Asterisk;
        }
        if r.method == Method::CONNECT {
            return self.decide_connect(r, path);
        }
        let table = self.read();
        let host = if table.tree.asks_for_hosts() { without_port(&r.host) } else { "" };
        let path = clean_path(path);
        match find_or_add_slash(&table.tree, host, r.method.as_str(), &path) {
            PathMatch::AddSlash(id) => self.redirect(r, &format!("{path}/"), Some(id)),
            target @ (PathMatch::Route(_) | PathMatch::Nothing) if matches!(path, Cow::Owned(_)) => {
                self.redirect(r, &path, target.route())
            }
            PathMatch::Route(id) => self.route(id),
            PathMatch::Nothing => self.no_route(&table, host, &path),
        }
    }

    /// Go's rules for CONNECT: the target's own host decides whether a slash is missing, the host
    /// of the request which route it is; neither host nor path is cleaned.
    fn decide_connect(&self, r: &Request, path: &str) -> Dispatch<'_> {
        let table = self.read();
        let authority = r.uri.authority().map_or("", |authority| authority.as_str());
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        if let PathMatch::AddSlash(id) = find_or_add_slash(&table.tree, host, "CONNECT", path) {
            return self.redirect(r, &format!("{path}/"), Some(id));
        }
        match table.tree.find(&r.host, "CONNECT", path, Ending::AsSent) {
            Some(RouteMatch::Exact(id) | RouteMatch::Within(id)) => self.route(id),
            None => self.no_route(&table, host, path),
        }
    }

    fn route(&self, id: RouteId) -> Dispatch<'_> {
        Dispatch::Route(self.routes.get(id.0).expect("the tree leads to routes that are there"))
    }

    fn redirect(&self, r: &Request, path: &str, id: Option<RouteId>) -> Dispatch<'_> {
        let route = id.and_then(|id| self.routes.get(id.0));
        Dispatch::Redirect {
            location: location(path, r.uri.query()),
            pattern: route.map(|route| route.pattern.text.clone()),
        }
    }

    fn no_route(&self, table: &Table, host: &str, path: &str) -> Dispatch<'_> {
        let fallback = |index: Option<usize>| index.and_then(|index| self.fallbacks.get(index));
        let allowed = Vec::from_iter(table.tree.allowed(host, path));
        if allowed.is_empty() {
            return Dispatch::NotFound { handler: fallback(table.not_found) };
        }
        Dispatch::MethodNotAllowed { allow: allowed.join(", "), handler: fallback(table.method_not_allowed) }
    }
}

impl Handler for ServeMux {
    async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        self.serve_http_boxed(w, r).await
    }

    fn serve_http_boxed<'a>(&'a self, w: &'a mut ResponseWriter, r: &'a mut Request) -> HandlerFuture<'a> {
        self.inner.run_from(0, w, r)
    }
}

/// The middleware of a mux, and its choice of a route.
impl Chain for MuxState {
    fn run_from<'a>(&'a self, position: usize, w: &'a mut ResponseWriter, r: &'a mut Request) -> HandlerFuture<'a> {
        if let Some(middleware) = self.middleware.get(position) {
            return middleware.handle_boxed(w, r, Next::at(self, position + 1));
        }
        match self.dispatch(r) {
            Dispatch::Route(route) => route.handler.serve_http_boxed(w, r),
            Dispatch::Redirect { location, .. } => MuxResponse::redirect(location, &r.method).send(w),
            Dispatch::MethodNotAllowed { allow, handler } => {
                w.header().set("Allow", allow);
                match handler {
                    Some(handler) => handler.serve_http_boxed(w, r),
                    None => MuxResponse::method_not_allowed().send(w),
                }
            }
            Dispatch::NotFound { handler: Some(handler) } => handler.serve_http_boxed(w, r),
            Dispatch::NotFound { handler: None } => MuxResponse::not_found().send(w),
            Dispatch::Asterisk => MuxResponse::asterisk(r).send(w),
        }
    }
}

/// The result of a lookup.
enum PathMatch {
    Route(RouteId),
    /// To nothing but a part of a rest, while with a slash at its end it leads here.
    AddSlash(RouteId),
    Nothing,
}

impl PathMatch {
    fn route(&self) -> Option<RouteId> {
        match *self {
            PathMatch::Route(id) | PathMatch::AddSlash(id) => Some(id),
            PathMatch::Nothing => None,
        }
    }
}

fn find_or_add_slash(tree: &Tree, host: &str, method: &str, path: &str) -> PathMatch {
    let found = tree.find(host, method, path, Ending::AsSent);
    if !matches!(found, Some(RouteMatch::Exact(_))) && !path.is_empty() && !path.ends_with('/') {
        if let Some(RouteMatch::Exact(id)) = tree.find(host, method, path, Ending::WithSlash) {
            return PathMatch::AddSlash(id);
        }
    }
    match found {
        Some(RouteMatch::Exact(id) | RouteMatch::Within(id)) => PathMatch::Route(id),
        None => PathMatch::Nothing,
    }
}

impl MuxState {
    // Nothing panics while it holds the lock, so a poisoned one guards a table that is whole.
    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MuxState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.routes.iter().map(|route| &route.pattern.text)).finish()
    }
}

/// Stands for [`default_serve_mux`] where a handler is wanted (Go's nil handler): a server that is
/// given `None` serves it, for `None` can be no other option.
///
/// ```
/// use nethttp::mux::DefaultServeMux;
/// use nethttp::{Handler, Request, ResponseWriter};
///
/// fn serve(handler: impl Handler) { /* … */ }
///
/// nethttp::handle("/hello", async |w: &mut ResponseWriter, _: &mut Request| w.write("hello").await);
/// serve(None);
/// serve(DefaultServeMux);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct DefaultServeMux;

static DEFAULT: LazyLock<ServeMux> = LazyLock::new(ServeMux::new);

/// The mux that the whole process shares.
pub fn default_serve_mux() -> &'static ServeMux {
    &DEFAULT
}

/// Registers a handler with [`default_serve_mux`]; see [`ServeMux::handle`].
///
/// # Panics
/// As [`ServeMux::handle`].
#[track_caller]
pub fn handle(pattern: &str, handler: impl Handler) {
    default_serve_mux().handle(pattern, handler);
}

impl Handler for DefaultServeMux {
    async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        default_serve_mux().serve_http(w, r).await
    }

    fn serve_http_boxed<'a>(&'a self, w: &'a mut ResponseWriter, r: &'a mut Request) -> HandlerFuture<'a> {
        default_serve_mux().serve_http_boxed(w, r)
    }
}

impl Handler for Option<DefaultServeMux> {
    async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        DefaultServeMux.serve_http(w, r).await
    }

    fn serve_http_boxed<'a>(&'a self, w: &'a mut ResponseWriter, r: &'a mut Request) -> HandlerFuture<'a> {
        default_serve_mux().serve_http_boxed(w, r)
    }
}
