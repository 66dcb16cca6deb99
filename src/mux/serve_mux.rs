//! The mux itself: routes registered, requests dispatched. And the mux that the process shares.

use std::panic::Location;
use std::sync::{Arc, LazyLock};

use super::dispatch::{Dispatch, OwnResponseKind};
use super::prefix::MountPoint;
use super::route::Route;
use super::state::MuxState;
use crate::error::Result;
use crate::message::{Header, Request};
use crate::server::middleware::BoxMiddleware;
use crate::server::{Chain as _, Handler, HandlerFuture, Middleware, Position, ResponseWriter};

/// Sends each request to the handler whose pattern matches it best (Go's `ServeMux`).
///
/// A handle: clones share their routes, and routes may be registered while requests are served.
/// An empty mux responds with 404.
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
/// | `/a/{name}.json` | one segment that ends so, with something before; `/v{name}` and `/{name}:go` likewise |
/// | `{name}.a.test/` | a host with any one label there |
///
/// The name of a wildcard is an identifier that is there once. Segments are compared unescaped, one by
/// one: `%2F` is part of a name. A literal brace is `%7B` or `%7D`, a segment that is just a star `%2A`, a
/// colon at the start of one `%3A`. A pattern has at most 256 segments.
///
/// The last two rows are not Go's. A segment has one wildcard at most, so that there is one way to split
/// it, and what the wildcard stands for there is not empty. In a host a wildcard is all of a label, and
/// a host has a label without one; its value is in lower case.
///
/// The spellings of other routers (`/:id`, `/*path`, `/<id>`), and slips that would never match (`get /x`,
/// `POST/x`, `/x?y=1`, `https://a.test/`, `a.test:8080/`), are refused with what to write.
///
/// # Precedence
/// A pattern with a host wins over those without, and one with a narrower host over those with a wider
/// one. Then the most specific one wins: the one whose requests are all matched by the other too. `/a/{x}`
/// wins over `/a/`, `/{x}.tar.gz` over `/{x}.gz`, `GET /` over `/`. The order of registration never
/// matters. Two patterns that share a request, and neither is more specific (`/a/{x}` and `/{x}/b`,
/// `/a{x}` and `/{x}b`), cannot both be registered.
///
/// # What a handler gets
/// [`Request::pattern`] is the pattern's text and [`Request::path_value`] has the value of each
/// wildcard, unescaped: it may hold a slash, be `..`, or be empty for a rest, and where it is no
/// UTF-8 it is empty ([`Request::path`] has it as sent). Values that were set before stay
/// when no wildcard has their name, so the values of an outer mux are there for an inner one.
///
/// # What the mux responds to by itself
/// - 307 to the clean path, when there is `.`, `..` or an empty segment in it, and to the path
///   with a slash, when only that is registered. The query is kept, and so are escapes.
/// - 405 with `Allow` when only other methods are registered for the path, else 404. See
///   [`method_not_allowed`](ServeMux::method_not_allowed) and [`not_found`](ServeMux::not_found).
/// - 400 to a request-target of `*`, and the connection closes.
///
/// # Routers in routers
/// [`group`](ServeMux::group) is for routes that share a prefix or middleware, [`mount`](ServeMux::mount) for
/// a mux in a mux, [`merge`](ServeMux::merge) for routes that are put together in several places.
/// [`routes`](ServeMux::routes) lists all of them.
///
/// # CONNECT
/// The path of a CONNECT request is not cleaned and its host keeps its port. The usual form,
/// `CONNECT host:port`, has no path, so no pattern matches it: a proxy serves it before its mux.
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

/// What a [`ServeMux`] would do with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lookup {
    /// Call the handler of a route.
    Matched {
        /// The route's pattern as it was registered.
        pattern: Arc<str>,
    },
    /// Respond with 307.
    Redirect {
        /// Path and query to ask for instead.
        location: String,
        /// The pattern that matches there; empty when none does.
        pattern: Arc<str>,
    },
    /// Respond with 405.
    MethodNotAllowed {
        /// The methods that are registered for the path, sorted, with commas between.
        allow: String,
    },
    /// Respond with 404; or 400, where the request-target is `*`.
    NotFound,
}

impl ServeMux {
    /// A mux without routes.
    pub fn new() -> ServeMux {
        ServeMux::default()
    }

    /// Has requests that match `pattern` served by `handler`.
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
        self.inner.register(&MountPoint::default(), pattern, &handler.boxed(), Location::caller())
    }

    /// What this mux would do with a request. Runs no handler and changes nothing: path values
    /// are not filled in.
    pub fn lookup(&self, r: &Request) -> Lookup {
        let own = match self.inner.decide(r) {
            Dispatch::Route(route) => return Lookup::Matched { pattern: route.pattern.text.clone() },
            Dispatch::Own(own) => own,
        };
        match own.kind {
            OwnResponseKind::Redirect { location } => {
                Lookup::Redirect { location, pattern: own.pattern.unwrap_or_default() }
            }
            OwnResponseKind::MethodNotAllowed { allow } => Lookup::MethodNotAllowed { allow },
            OwnResponseKind::NotFound | OwnResponseKind::Asterisk => Lookup::NotFound,
        }
    }

    /// All routes in the order that they were registered, those of mounted muxes with their whole patterns.
    ///
    /// ```
    /// use nethttp::{ServeMux, not_found};
    ///
    /// let users = ServeMux::new();
    /// users.handle("GET /{id}", not_found);
    /// let mux = ServeMux::new();
    /// mux.handle("/", not_found);
    /// mux.mount("/users", &users);
    /// let patterns: Vec<String> = mux.routes().iter().map(ToString::to_string).collect();
    /// assert_eq!(patterns, ["/", "GET /users/{id}"]);
    /// ```
    pub fn routes(&self) -> Vec<Route> {
        self.inner.routes.iter().map(|route| Route::of(&route.pattern)).collect()
    }

    /// Has `handler` respond where nothing matches, in place of a plain 404. The status is its to
    /// set. The handler that is set last counts.
    pub fn not_found(&self, handler: impl Handler) {
        self.inner.scope.not_found.set(handler.boxed());
    }

    /// Has `handler` respond where only other methods match, in place of a plain 405. It finds
    /// `Allow` set on the writer's header; the status is its to set. The handler that is set last
    /// counts.
    pub fn method_not_allowed(&self, handler: impl Handler) {
        self.inner.scope.method_not_allowed.set(handler.boxed());
    }

    /// Puts a middleware around all that this mux does: its routes, those that are registered later too,
    /// and its own 404, 405 and redirects. The one that is given first is the outermost.
    ///
    /// It runs before a route is chosen: a target that it changes is looked up as changed, and
    /// [`Request::pattern`] is set once [`Next::run`](crate::Next::run) has returned. One that needs the pattern
    /// beforehand, or is for a part of the routes, is given to a [`group`](ServeMux::group).
    /// Requests that are already being served go on without it.
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
        self.inner.scope.middleware.push(BoxMiddleware::new(middleware));
    }
}

impl Handler for ServeMux {
    async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        self.serve_http_boxed(w, r).await
    }

    fn serve_http_boxed<'a>(&'a self, w: &'a mut ResponseWriter, r: &'a mut Request) -> HandlerFuture<'a> {
        self.inner.run_from(Position::START, w, r)
    }

    fn preflight(&self, r: &Request) -> Option<Header> {
        self.inner.preflight_from(Position::START, r)
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

    fn preflight(&self, r: &Request) -> Option<Header> {
        default_serve_mux().preflight(r)
    }
}

impl Handler for Option<DefaultServeMux> {
    async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        DefaultServeMux.serve_http(w, r).await
    }

    fn serve_http_boxed<'a>(&'a self, w: &'a mut ResponseWriter, r: &'a mut Request) -> HandlerFuture<'a> {
        default_serve_mux().serve_http_boxed(w, r)
    }

    fn preflight(&self, r: &Request) -> Option<Header> {
        default_serve_mux().preflight(r)
    }
}
