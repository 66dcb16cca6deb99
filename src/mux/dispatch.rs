//! What is done with a request: which route it goes to, or what the mux responds to by itself.

use std::borrow::Cow;
use std::sync::Arc;

use http::Method;

use super::path::{clean_path, location};
use super::response::MuxResponse;
use super::scope::{Latest, RouteScope, Step, common_steps, follow, preflight_by_steps};
use super::state::{MuxState, RegisteredRoute, Table};
use super::tree::{Ending, RouteId, RouteMatch, Tree};
use crate::error::Result;
use crate::message::{Header, Request, Retargeted, with_path_and_query, without_port};
use crate::server::{Chain, Handler as _, HandlerFuture, Middleware as _, Next, Position, ResponseWriter};

/// A decision, with what is needed to carry it out.
pub(super) enum Dispatch<'a> {
    Route(&'a RegisteredRoute),
    Own(OwnResponse<'a>),
}

/// A response of the mux itself.
pub(super) struct OwnResponse<'a> {
    pub(super) kind: OwnResponseKind,
    /// The pattern that the client is sent to.
    pub(super) pattern: Option<Arc<str>>,
    /// The path of the request, cleaned, where it was not clean.
    clean_path: Option<String>,
    /// Through the scopes that it is given in, apart from the mux's own.
    steps: &'a [Step],
    scope: &'a RouteScope,
}

/// Which one it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum OwnResponseKind {
    Redirect { location: String },
    MethodNotAllowed { allow: String },
    NotFound,
    Asterisk,
}

impl MuxState {
    /// Decides, and records the pattern and the path values in the request.
    pub(super) fn dispatch(&self, r: &mut Request) -> Dispatch<'_> {
        let decision = self.decide(r);
        r.pattern = match &decision {
            Dispatch::Route(route) => Some(route.pattern.text.clone()),
            Dispatch::Own(own) => own.pattern.clone(),
        };
        if let Dispatch::Route(route) = &decision {
            let values = &mut r.path_values;
            let host = || if r.method == Method::CONNECT { &*r.host } else { without_port(&r.host) };
            route.pattern.capture(host, r.uri.path(), |name, value| match values.iter_mut().find(|(n, _)| n == name) {
                Some(entry) => entry.1 = value,
                None => values.push((name.clone(), value)),
            });
        }
        decision
    }

    pub(super) fn decide(&self, r: &Request) -> Dispatch<'_> {
        let path = r.escaped_path();
        if r.request_uri == "*" || path == "*" {
            return self.own(OwnResponseKind::Asterisk, &[]);
        }
        if r.method == Method::CONNECT {
            return self.decide_connect(r, path);
        }
        let table = self.read();
        let host = if table.asks_for_hosts() { without_port(&r.host) } else { "" };
        let path = clean_path(path);
        let mut decision = match find_or_add_slash(&table.tree, host, r.method.as_str(), &path) {
            PathMatch::AddSlash(id) => self.redirect(&table, r, (host, &format!("{path}/")), Some(id)),
            target @ (PathMatch::Route(_) | PathMatch::Nothing) if matches!(path, Cow::Owned(_)) => {
                self.redirect(&table, r, (host, &path), target.route())
            }
            PathMatch::Route(id) => self.route(id),
            PathMatch::Nothing => self.no_route(&table, r, (host, &path)),
        };
        if let (Dispatch::Own(own), Cow::Owned(path)) = (&mut decision, path) {
            own.clean_path = Some(path);
        }
        decision
    }

    /// Go's rules for CONNECT: the target's own host decides whether a slash is missing, the host
    /// of the request which route it is; neither host nor path is cleaned.
    fn decide_connect(&self, r: &Request, path: &str) -> Dispatch<'_> {
        let table = self.read();
        let authority = r.uri.authority().map_or("", |authority| authority.as_str());
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        if let PathMatch::AddSlash(id) = find_or_add_slash(&table.tree, host, "CONNECT", path) {
            return self.redirect(&table, r, (host, &format!("{path}/")), Some(id));
        }
        match table.tree.find(&r.host, "CONNECT", path, Ending::AsSent) {
            Some(RouteMatch::Exact(id) | RouteMatch::Within(id)) => self.route(id),
            None => self.no_route(&table, r, (host, path)),
        }
    }

    fn route(&self, id: RouteId) -> Dispatch<'_> {
        Dispatch::Route(self.routes.get(id.0).expect("the tree leads to routes that are there"))
    }

    /// To a path of this host, and the route that is there.
    fn redirect(&self, table: &Table, r: &Request, (host, path): (&str, &str), id: Option<RouteId>) -> Dispatch<'_> {
        let route = id.and_then(|id| self.routes.get(id.0));
        let steps = route.map_or_else(|| self.steps_below(table, host, path), |route| &*route.steps);
        // Under a mount that is no part of this mux, the client's path is the longer one.
        let location = match r.mount_path() {
            "" => location(path, r.uri.query()),
            mount_path => location(&format!("{mount_path}{path}"), r.uri.query()),
        };
        let pattern = route.map(|route| route.pattern.text.clone());
        let kind = OwnResponseKind::Redirect { location };
        Dispatch::Own(OwnResponse { kind, pattern, clean_path: None, steps, scope: &self.scope })
    }

    fn no_route(&self, table: &Table, r: &Request, (host, path): (&str, &str)) -> Dispatch<'_> {
        let allowed = table.tree.allowed(host, path);
        if allowed.is_empty() {
            return self.own(OwnResponseKind::NotFound, self.steps_below(table, host, path));
        }
        let steps_of = |id: &RouteId| self.routes.get(id.0).map_or(&[][..], |route| &*route.steps);
        // A preflight asks for another method, and goes through the group of that one, which may have the rules.
        let preflight = Some(&r.header).filter(|_| r.method == Method::OPTIONS);
        let asked = preflight.and_then(|header| header.get("Access-Control-Request-Method"));
        let steps = match asked.and_then(|method| allowed.get(method)) {
            Some(id) => steps_of(id),
            // Routes of one path may lie in several groups: only what they share is around the response.
            None => common_steps(allowed.values().map(steps_of)),
        };
        let methods: Vec<&str> = allowed.keys().copied().collect();
        self.own(OwnResponseKind::MethodNotAllowed { allow: methods.join(", ") }, steps)
    }

    fn own<'a>(&'a self, kind: OwnResponseKind, steps: &'a [Step]) -> Dispatch<'a> {
        Dispatch::Own(OwnResponse { kind, pattern: None, clean_path: None, steps, scope: &self.scope })
    }

    /// The steps of the narrowest area that a path lies in.
    fn steps_below(&self, table: &Table, host: &str, path: &str) -> &[Step] {
        let ending = if path.ends_with('/') { Ending::AsSent } else { Ending::WithSlash };
        let found = table.areas.find(host, "", path, ending);
        let area = found.and_then(|found| self.areas.get(found.route().0));
        area.map_or(&[], |area| &*area.steps)
    }
}

/// The middleware of a mux, and its choice of a route.
impl Chain for MuxState {
    fn run_from<'a>(&'a self, position: Position, w: &'a mut ResponseWriter, r: &'a mut Request) -> HandlerFuture<'a> {
        if let Some(middleware) = self.scope.middleware.get(position.index as usize) {
            return middleware.handle_boxed(w, r, Next::at(self, position.after()));
        }
        match self.dispatch(r) {
            Dispatch::Route(route) => route.run_from(Position::START, w, r),
            Dispatch::Own(own) if own.steps.is_empty() => own.send(w, r),
            Dispatch::Own(own) => Box::pin(async move { own.run(w, r).await }),
        }
    }

    fn preflight_from(&self, position: Position, r: &Request) -> Option<Header> {
        let within = match self.decide(r) {
            Dispatch::Route(route) => route.preflight_from(Position::START, r),
            Dispatch::Own(own) => own.preflight_from(Position::START, r),
        };
        within.or_else(|| self.scope.preflight_from(position.index as usize, r))
    }
}

/// The steps to a handler, and the handler.
impl Chain for RegisteredRoute {
    fn run_from<'a>(&'a self, position: Position, w: &'a mut ResponseWriter, r: &'a mut Request) -> HandlerFuture<'a> {
        if self.steps.is_empty() {
            return self.handler.serve_http_boxed(w, r);
        }
        follow(self, &self.steps, position, w, r, |w, r| self.handler.serve_http_boxed(w, r))
    }

    fn preflight_from(&self, position: Position, r: &Request) -> Option<Header> {
        // A mux below a mount would look for the path that it does not see here.
        let is_below = self.steps.iter().any(|step| matches!(step, Step::Below(_)));
        let within = if is_below { None } else { self.handler.preflight(r) };
        within.or_else(|| preflight_by_steps(&self.steps, position, r))
    }
}

impl Chain for OwnResponse<'_> {
    fn run_from<'a>(&'a self, position: Position, w: &'a mut ResponseWriter, r: &'a mut Request) -> HandlerFuture<'a> {
        follow(self, self.steps, position, w, r, |w, r| self.send(w, r))
    }

    fn preflight_from(&self, position: Position, r: &Request) -> Option<Header> {
        preflight_by_steps(self.steps, position, r)
    }
}

impl<'scope> OwnResponse<'scope> {
    /// Goes through the steps. They were found by the clean path, so what is below a mount sees what is left of
    /// that one: how many segments to take off is true of no other.
    async fn run(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        let is_below = || self.steps.iter().any(|step| matches!(step, Step::Below(_)));
        let clean = self.clean_path.as_deref().filter(|_| is_below());
        match clean.and_then(|path| with_path_and_query(&r.uri, path, r.uri.query())) {
            Some(uri) => self.run_from(Position::START, w, Retargeted::new(r, uri).request).await,
            None => self.run_from(Position::START, w, r).await,
        }
    }

    fn send<'a>(&self, w: &'a mut ResponseWriter, r: &'a mut Request) -> HandlerFuture<'a>
    where
        'scope: 'a,
    {
        let handler = match &self.kind {
            OwnResponseKind::NotFound => self.handler(|scope| &scope.not_found),
            OwnResponseKind::MethodNotAllowed { allow } => {
                w.header().set("Allow", allow.as_str());
                self.handler(|scope| &scope.method_not_allowed)
            }
            OwnResponseKind::Redirect { .. } | OwnResponseKind::Asterisk => None,
        };
        if let Some(handler) = handler {
            return handler.serve_http_boxed(w, r);
        }
        let response = match &self.kind {
            OwnResponseKind::NotFound => MuxResponse::not_found(),
            OwnResponseKind::MethodNotAllowed { .. } => MuxResponse::method_not_allowed(),
            OwnResponseKind::Redirect { location } => MuxResponse::redirect(location.clone(), &r.method),
            OwnResponseKind::Asterisk => MuxResponse::asterisk(r),
        };
        response.send(w)
    }

    /// The handler that the innermost scope has for this.
    pub(super) fn handler(
        &self,
        of: impl Fn(&'scope RouteScope) -> &'scope Latest,
    ) -> Option<&'scope crate::server::BoxHandler> {
        let inner = self.steps.iter().rev().filter_map(|step| match step {
            Step::Into(scope) => Some(&**scope),
            Step::Below(_) => None,
        });
        inner.chain([self.scope]).find_map(|scope| of(scope).get())
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
