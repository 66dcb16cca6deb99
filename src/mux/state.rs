//! The routes of a mux, and how they get there.
//!
//! A mux that is mounted in another one, or merged into it, stays a mux of its own, and each of its routes
//! is a route of the other too, with its whole pattern. So a lookup is one walk down one tree, and what
//! conflicts, wins, or is allowed is decided among whole patterns, as if all had been registered in one
//! mux. A mux knows where it is mounted: a route that comes later goes everywhere its mux is.
//!
//! Registrations of the whole process are one after the other ([`REGISTRATION`]): each looks at several
//! tables before it changes any, so that it registers everywhere or nowhere. Lookups do not wait for that;
//! they wait for the lock of their own table alone, which is held for one insertion. A mux refers to those
//! that it is mounted in weakly, and they to the handlers in it: nothing keeps itself alive.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::panic::Location;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};

use super::arena::Arena;
use super::conflict::{Index, conflict};
use super::host::is_masked;
use super::pattern::Pattern;
use super::prefix::{Place, Prefix};
use super::scope::{RouteScope, Step, Way};
use super::tree::{RouteId, Tree};
use crate::error::{Error, ErrorKind, Result};
use crate::server::BoxHandler;

/// All of a mux; handles of it share one.
#[derive(Default)]
pub(super) struct MuxState {
    pub(super) scope: Arc<RouteScope>,
    pub(super) routes: Arena<RegisteredRoute>,
    pub(super) areas: Arena<Area>,
    table: RwLock<Table>,
}

pub(super) struct RegisteredRoute {
    pub(super) pattern: Pattern,
    pub(super) handler: BoxHandler,
    pub(super) way: Way,
}

/// The paths below the prefix of a group or a mount, for requests that no route matches.
pub(super) struct Area {
    pub(super) pattern: Pattern,
    pub(super) way: Way,
}

/// The indices of everything in the arenas.
#[derive(Default)]
pub(super) struct Table {
    pub(super) tree: Tree,
    /// The areas; of several with the same prefix the first.
    pub(super) areas: Tree,
    /// By host: most hosts have no request in common.
    indices: HashMap<Box<str>, Index>,
    /// The hosts among them that have wildcards: those may have requests in common.
    masked_hosts: BTreeSet<Box<str>>,
    /// Where this mux is mounted.
    attachments: Vec<Attachment>,
}

impl Table {
    /// Whether anything is for one host only.
    pub(super) fn asks_for_hosts(&self) -> bool {
        self.tree.asks_for_hosts() || self.areas.asks_for_hosts()
    }
}

struct Attachment {
    outer: Weak<MuxState>,
    place: Place,
}

/// A mux in which something is to be registered, and where in it.
struct Occurrence {
    mux: Arc<MuxState>,
    place: Place,
}

/// Held for a registration, from the first look to the last insertion.
static REGISTRATION: Mutex<()> = Mutex::new(());

/// What becomes of a mux in another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attaching {
    /// Below a prefix that its handlers do not see.
    Mount,
    /// As it is.
    Merge,
}

impl MuxState {
    /// Registers a route here and wherever this mux is mounted.
    pub(super) fn register(
        self: &Arc<MuxState>,
        place: &Place,
        pattern: &str,
        handler: &BoxHandler,
        location: &'static Location<'static>,
    ) -> Result<()> {
        let _one_at_a_time = REGISTRATION.lock().unwrap_or_else(PoisonError::into_inner);
        let occurrences = self.occurrences(place)?;
        let mut routes = Vec::with_capacity(occurrences.len());
        for Occurrence { mux, place } in occurrences {
            let pattern = Pattern::parse(&place.prefix.before(pattern)?, location)?;
            routes.push((mux, RegisteredRoute { pattern, handler: handler.clone(), way: place.way_to(&[]) }));
        }
        insert_all(routes)
    }

    /// Has requests below the prefix of a place go its way where no route matches.
    pub(super) fn register_area(
        self: &Arc<MuxState>,
        place: &Place,
        location: &'static Location<'static>,
    ) -> Result<()> {
        let _one_at_a_time = REGISTRATION.lock().unwrap_or_else(PoisonError::into_inner);
        for Occurrence { mux, place } in self.occurrences(place)? {
            mux.insert_area(&place, &[], location)?;
        }
        Ok(())
    }

    /// Puts all of `inner`, with what it gets later, behind a prefix at a place of this mux.
    pub(super) fn attach(
        self: &Arc<MuxState>,
        place: &Place,
        (attaching, prefix): (Attaching, &Prefix),
        inner: &Arc<MuxState>,
        location: &'static Location<'static>,
    ) -> Result<()> {
        let _one_at_a_time = REGISTRATION.lock().unwrap_or_else(PoisonError::into_inner);
        let step = Step::Into(inner.scope.clone());
        let attached = match attaching {
            Attaching::Mount => place.below(prefix, Some(step))?,
            Attaching::Merge => place.within(prefix, step)?,
        };
        let occurrences = self.occurrences(&attached)?;
        if occurrences.iter().any(|occurrence| Arc::ptr_eq(&occurrence.mux, inner)) {
            return Err(Error::new(ErrorKind::Invalid, "a mux cannot be mounted in itself"));
        }
        let mut routes = Vec::new();
        for Occurrence { mux, place } in &occurrences {
            for route in inner.routes.iter() {
                let pattern = Pattern::parse(&place.prefix.before(&route.pattern.text)?, route.pattern.location)?;
                let way = place.way_to(&route.way);
                routes.push((mux.clone(), RegisteredRoute { pattern, handler: route.handler.clone(), way }));
            }
        }
        insert_all(routes)?;
        for Occurrence { mux, place } in &occurrences {
            if attaching == Attaching::Mount {
                mux.insert_area(place, &[], location)?;
            }
            for area in inner.areas.iter() {
                mux.insert_area_pattern(&place.prefix.before(&area.pattern.text)?, place.way_to(&area.way), location)?;
            }
        }
        inner.write().attachments.push(Attachment { outer: Arc::downgrade(self), place: attached });
        Ok(())
    }

    /// This mux and all that it is mounted in, each with where this place is in it.
    fn occurrences(self: &Arc<MuxState>, place: &Place) -> Result<Vec<Occurrence>> {
        let mut all = vec![Occurrence { mux: self.clone(), place: place.clone() }];
        let mut looked_at = 0;
        while let Some(Occurrence { mux, place }) = all.get(looked_at) {
            let mut outer = Vec::new();
            for attachment in &mux.read().attachments {
                let Some(mux) = attachment.outer.upgrade() else { continue };
                outer.push(Occurrence { mux, place: attachment.place.join(place)? });
            }
            all.append(&mut outer);
            looked_at += 1;
        }
        Ok(all)
    }

    /// The first route that a pattern conflicts with.
    fn conflict_with(&self, pattern: &Pattern) -> Option<Error> {
        let table = self.read();
        let mask = &pattern.host.mask;
        let others = table.masked_hosts.iter().filter(|other| is_masked(mask) && *other != mask);
        let indices = others.chain([mask]).filter_map(|mask| table.indices.get(mask));
        let others = indices.flat_map(|index| index.candidates(pattern)).filter_map(|id| self.routes.get(id.0));
        others.map(|other| &other.pattern).find_map(|other| conflict(pattern, other))
    }

    fn insert(&self, route: RegisteredRoute) {
        let id = RouteId(self.routes.push(route));
        let route = self.routes.get(id.0).expect("it was put in just now");
        let table = &mut *self.write();
        let mask = &route.pattern.host.mask;
        table.indices.entry(mask.clone()).or_default().add(&route.pattern, id);
        if is_masked(mask) {
            table.masked_hosts.insert(mask.clone());
        }
        table.tree.insert(&route.pattern, id);
    }

    fn insert_area(&self, place: &Place, way: &[Step], location: &'static Location<'static>) -> Result<()> {
        match place.prefix.area() {
            Some(pattern) => self.insert_area_pattern(&pattern, place.way_to(way), location),
            None => Ok(()),
        }
    }

    fn insert_area_pattern(&self, pattern: &str, way: Way, location: &'static Location<'static>) -> Result<()> {
        let id = RouteId(self.areas.push(Area { pattern: Pattern::parse(pattern, location)?, way }));
        let area = self.areas.get(id.0).expect("it was put in just now");
        self.write().areas.insert(&area.pattern, id);
        Ok(())
    }

    // Nothing panics while it holds the lock, so a poisoned one guards a table that is whole.
    pub(super) fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Inserts all of these, or none where one of them conflicts.
fn insert_all(routes: Vec<(Arc<MuxState>, RegisteredRoute)>) -> Result<()> {
    // A mux that is mounted twice in the same one, under prefixes that overlap, brings routes that conflict
    // with each other.
    let mut fresh: HashMap<*const MuxState, Index> = HashMap::new();
    for (at, (mux, route)) in routes.iter().enumerate() {
        if let Some(error) = mux.conflict_with(&route.pattern) {
            return Err(error);
        }
        let index = fresh.entry(Arc::as_ptr(mux)).or_default();
        let others = index.candidates(&route.pattern).filter_map(|id| routes.get(id.0));
        if let Some(error) = others.filter_map(|(_, other)| conflict(&route.pattern, &other.pattern)).next() {
            return Err(error);
        }
        index.add(&route.pattern, RouteId(at));
    }
    for (mux, route) in routes {
        mux.insert(route);
    }
    Ok(())
}

impl fmt::Debug for MuxState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.routes.iter().map(|route| &route.pattern.text)).finish()
    }
}
