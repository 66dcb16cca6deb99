//! Routers put together: groups of routes, and muxes in muxes.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use super::prefix::{MountPoint, Prefix};
use super::scope::{RouteScope, Step};
use super::serve_mux::ServeMux;
use super::state::{Attaching, MuxState};
use crate::error::Result;
use crate::server::middleware::BoxMiddleware;
use crate::server::{Handler, Middleware};

/// Routes of a [`ServeMux`] that have a prefix, middleware and handlers for 404 and 405 of their own: what
/// [`ServeMux::group`] gives.
///
/// A handle: clones are the same group. Its routes are routes of its mux, with the prefix in their
/// patterns, and what conflicts and wins is decided among whole patterns. A pattern that is a method alone
/// (`GET`), or empty, stands for the prefix itself: in a group of `/users`, `GET /` is `GET /users/`, and
/// `GET` is `GET /users`. Handlers see the path as it is, with the prefix.
///
/// ```
/// use nethttp::{Next, Request, ResponseWriter, Result, ServeMux};
///
/// async fn log(w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
///     println!("{:?}", r.pattern); // Some("GET /api/users/{id}")
///     next.run(w, r).await
/// }
///
/// async fn user(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
///     w.write(format!("user {}\n", r.path_value("id"))).await
/// }
///
/// let mux = ServeMux::new();
/// let api = mux.group("/api");
/// api.wrap(log);
/// api.handle("GET /users/{id}", user);
/// ```
#[derive(Clone)]
pub struct Group {
    mux: Arc<MuxState>,
    mount_point: MountPoint,
    scope: Arc<RouteScope>,
}

impl ServeMux {
    /// A group of routes behind a prefix, `[HOST]/[PATH]`: `/api`, `/users/{user}`, `a.test/`. The empty
    /// prefix is for routes that have nothing but middleware in common. Each call makes another group.
    ///
    /// # Panics
    /// Where [`try_group`](ServeMux::try_group) fails.
    #[track_caller]
    pub fn group(&self, prefix: &str) -> Group {
        self.try_group(prefix).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same for prefixes that are not known to be right.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid): the prefix is malformed, has a method, or a
    /// wildcard for more than one segment.
    #[track_caller]
    pub fn try_group(&self, prefix: &str) -> Result<Group> {
        Group::new(&self.inner, &MountPoint::default(), prefix, Location::caller())
    }

    /// Puts another mux below a prefix, with all that it has and gets later: `GET /users/{id}` of a mux
    /// below `/api` is `GET /api/users/{id}` of this one.
    ///
    /// - **Which route wins, what conflicts, and which methods a 405 allows** is decided among whole
    ///   patterns, as if all of them had been registered here. A missing slash is added as everywhere: to
    ///   `/api`, too, where the other mux has a route for `/`.
    /// - **The handlers below** see a path without the prefix ([`Request::mount_path`] has it), so that
    ///   they need not know where they are mounted: [`strip_prefix`](crate::strip_prefix) and file servers
    ///   work in there as elsewhere. [`Request::pattern`] is the whole pattern, and the values of wildcards
    ///   in the prefix and in the pattern are all there, so that no name may be in both.
    /// - **The middleware of the other mux** runs around its routes and around 404, 405 and redirects
    ///   below the prefix, after that of this mux, and with the pattern known.
    /// - **404 and 405 below the prefix** are answered by the handlers that the other mux has for them;
    ///   where it has none, by those of this one.
    ///
    /// The other mux stays one of its own: it may be mounted several times, and served by itself.
    ///
    /// ```
    /// use nethttp::{Request, ResponseWriter, ServeMux};
    ///
    /// fn users() -> ServeMux {
    ///     let mux = ServeMux::new();
    ///     mux.handle("GET /{id}", async |w: &mut ResponseWriter, r: &mut Request| {
    ///         w.write(format!("user {}\n", r.path_value("id"))).await
    ///     });
    ///     mux
    /// }
    ///
    /// let mux = ServeMux::new();
    /// mux.mount("/users", &users());
    /// ```
    ///
    /// # Panics
    /// Where [`try_mount`](ServeMux::try_mount) fails.
    ///
    /// [`Request::mount_path`]: crate::Request::mount_path
    /// [`Request::pattern`]: crate::Request::pattern
    #[track_caller]
    pub fn mount(&self, prefix: &str, other: &ServeMux) {
        self.try_mount(prefix, other).unwrap_or_else(|error| panic!("{error}"));
    }

    /// The same for prefixes that are not known to be right.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), and nothing is mounted: the prefix is malformed,
    /// a route conflicts, or this mux is in the other one.
    #[track_caller]
    pub fn try_mount(&self, prefix: &str, other: &ServeMux) -> Result<()> {
        let location = Location::caller();
        let prefix = Prefix::parse(prefix, location)?;
        self.inner.attach(&MountPoint::default(), (Attaching::Mount, &prefix), &other.inner, location)
    }

    /// Puts a handler below a prefix: a file server, another framework's router. It serves everything
    /// below that nothing else here matches better, and sees a path without the prefix, as in a
    /// [mounted](ServeMux::mount) mux.
    ///
    /// ```
    /// use nethttp::{ServeMux, file_server};
    ///
    /// let mux = ServeMux::new();
    /// mux.mount_handler("/assets", file_server("public"));
    /// ```
    ///
    /// # Panics
    /// Where [`try_mount_handler`](ServeMux::try_mount_handler) fails.
    #[track_caller]
    pub fn mount_handler(&self, prefix: &str, handler: impl Handler) {
        self.try_mount_handler(prefix, handler).unwrap_or_else(|error| panic!("{error}"));
    }

    /// The same for prefixes that are not known to be right.
    ///
    /// # Errors
    /// As [`try_handle`](ServeMux::try_handle), of the pattern that is the prefix with a slash.
    #[track_caller]
    pub fn try_mount_handler(&self, prefix: &str, handler: impl Handler) -> Result<()> {
        let location = Location::caller();
        let mount_point = MountPoint::default().below(&Prefix::parse(prefix, location)?, None)?;
        self.inner.register(&mount_point, "/", &handler.boxed(), location)
    }

    /// Takes the routes of another mux, with all that it gets later, as they are: for routes that are put
    /// together in several files. The middleware of the other mux stays around its routes, and its
    /// handler for 405 too; 404 is answered by this one.
    ///
    /// ```
    /// use nethttp::{ServeMux, not_found};
    ///
    /// let users = ServeMux::new();
    /// users.handle("GET /users/{id}", not_found);
    /// let mux = ServeMux::new();
    /// mux.merge(&users);
    /// ```
    ///
    /// # Panics
    /// Where [`try_merge`](ServeMux::try_merge) fails.
    #[track_caller]
    pub fn merge(&self, other: &ServeMux) {
        self.try_merge(other).unwrap_or_else(|error| panic!("{error}"));
    }

    /// The same for routes that may conflict.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), and nothing is merged: a route conflicts, or this
    /// mux is in the other one.
    #[track_caller]
    pub fn try_merge(&self, other: &ServeMux) -> Result<()> {
        let merged = (Attaching::Merge, &Prefix::default());
        self.inner.attach(&MountPoint::default(), merged, &other.inner, Location::caller())
    }
}

impl Group {
    fn new(
        mux: &Arc<MuxState>,
        mount_point: &MountPoint,
        prefix: &str,
        location: &'static Location<'static>,
    ) -> Result<Group> {
        let prefix = Prefix::parse(prefix, location)?;
        let scope = Arc::<RouteScope>::default();
        let mount_point = mount_point.within(&prefix, Step::Into(scope.clone()))?;
        if prefix != Prefix::default() {
            mux.register_area(&mount_point, location)?;
        }
        Ok(Group { mux: mux.clone(), mount_point, scope })
    }

    /// Has requests that match `pattern` behind the group's prefix served by `handler`.
    ///
    /// # Panics
    /// Where [`try_handle`](Group::try_handle) fails.
    #[track_caller]
    pub fn handle(&self, pattern: &str, handler: impl Handler) {
        self.try_handle(pattern, handler).unwrap_or_else(|error| panic!("{error}"));
    }

    /// The same for patterns that are not known to be right.
    ///
    /// # Errors
    /// As [`ServeMux::try_handle`], of the whole pattern; and where prefix and pattern both have a host.
    #[track_caller]
    pub fn try_handle(&self, pattern: &str, handler: impl Handler) -> Result<()> {
        self.mux.register(&self.mount_point, pattern, &handler.boxed(), Location::caller())
    }

    /// Puts a middleware around the group: its routes, those that are registered later too, and the 404,
    /// 405 and redirects of the mux below its prefix. The one that is given first is the outermost; those
    /// of the mux, and of groups around this one, are around all of them.
    ///
    /// It runs after a route is chosen: [`Request::pattern`](crate::Request::pattern) and the path values
    /// are there, and a target that it changes leads to no other route. Of several groups with one prefix
    /// the first one is around a 404.
    pub fn wrap(&self, middleware: impl Middleware) {
        self.scope.middleware.push(BoxMiddleware::new(middleware));
    }

    /// Has `handler` respond where nothing matches below the prefix; see [`ServeMux::not_found`]. Of several
    /// groups with one prefix the first one is asked.
    pub fn not_found(&self, handler: impl Handler) {
        self.scope.not_found.set(handler.boxed());
    }

    /// Has `handler` respond where only other methods match a route of this group; see
    /// [`ServeMux::method_not_allowed`].
    pub fn method_not_allowed(&self, handler: impl Handler) {
        self.scope.method_not_allowed.set(handler.boxed());
    }

    /// A group within this one, behind both prefixes and within the middleware of both.
    ///
    /// # Panics
    /// Where [`try_group`](Group::try_group) fails.
    #[track_caller]
    pub fn group(&self, prefix: &str) -> Group {
        self.try_group(prefix).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same for prefixes that are not known to be right.
    ///
    /// # Errors
    /// As [`ServeMux::try_group`], and where both prefixes have a host.
    #[track_caller]
    pub fn try_group(&self, prefix: &str) -> Result<Group> {
        Group::new(&self.mux, &self.mount_point, prefix, Location::caller())
    }

    /// Puts another mux below a prefix in this group; see [`ServeMux::mount`]. The path that its handlers
    /// see is without the prefix of the group too.
    ///
    /// # Panics
    /// Where [`try_mount`](Group::try_mount) fails.
    #[track_caller]
    pub fn mount(&self, prefix: &str, other: &ServeMux) {
        self.try_mount(prefix, other).unwrap_or_else(|error| panic!("{error}"));
    }

    /// The same for prefixes that are not known to be right.
    ///
    /// # Errors
    /// As [`ServeMux::try_mount`].
    #[track_caller]
    pub fn try_mount(&self, prefix: &str, other: &ServeMux) -> Result<()> {
        let location = Location::caller();
        let prefix = Prefix::parse(prefix, location)?;
        self.mux.attach(&self.mount_point, (Attaching::Mount, &prefix), &other.inner, location)
    }

    /// Puts a handler below a prefix in this group; see [`ServeMux::mount_handler`].
    ///
    /// # Panics
    /// Where [`try_mount_handler`](Group::try_mount_handler) fails.
    #[track_caller]
    pub fn mount_handler(&self, prefix: &str, handler: impl Handler) {
        self.try_mount_handler(prefix, handler).unwrap_or_else(|error| panic!("{error}"));
    }

    /// The same for prefixes that are not known to be right.
    ///
    /// # Errors
    /// As [`ServeMux::try_mount_handler`].
    #[track_caller]
    pub fn try_mount_handler(&self, prefix: &str, handler: impl Handler) -> Result<()> {
        let location = Location::caller();
        let mount_point = self.mount_point.below(&Prefix::parse(prefix, location)?, None)?;
        self.mux.register(&mount_point, "/", &handler.boxed(), location)
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("prefix", &self.mount_point.prefix).finish_non_exhaustive()
    }
}
