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
use super::prefix::{MountPoint, Prefix};
use super::scope::{RouteScope, Step, Steps};
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
    pub(super) steps: Steps,
}

/// The paths below the prefix of a group or a mount, for requests that no route matches.
pub(super) struct Area {
    pub(super) pattern: Pattern,
    pub(super) steps: Steps,
}

impl Area {
    /// What lies below the prefix of a mount point; `None` where that is everything.
    fn of(mount_point: &MountPoint, location: &'static Location<'static>) -> Result<Option<Area>> {
        let Some(text) = mount_point.prefix.area() else { return Ok(None) };
        Ok(Some(Area { pattern: Pattern::parse(&text, location)?, steps: mount_point.steps_to(&[]) }))
    }
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
    mount_point: MountPoint,
}

/// A mux in which something is to be registered, and where in it.
struct Occurrence {
    mux: Arc<MuxState>,
    mount_point: MountPoint,
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
        mount_point: &MountPoint,
        pattern: &str,
        handler: &BoxHandler,
        location: &'static Location<'static>,
    ) -> Result<()> {
        let _one_at_a_time = REGISTRATION.lock().unwrap_or_else(PoisonError::into_inner);
        let occurrences = self.occurrences(mount_point)?;
        let mut routes = Vec::with_capacity(occurrences.len());
        for Occurrence { mux, mount_point } in occurrences {
            let pattern = Pattern::parse(&mount_point.prefix.before(pattern)?, location)?;
            routes.push((mux, RegisteredRoute { pattern, handler: handler.clone(), steps: mount_point.steps_to(&[]) }));
        }
        insert_all(routes)
    }

    /// Has requests below the prefix of a mount point go through its steps where no route matches.
    pub(super) fn register_area(
        self: &Arc<MuxState>,
        mount_point: &MountPoint,
        location: &'static Location<'static>,
    ) -> Result<()> {
        let _one_at_a_time = REGISTRATION.lock().unwrap_or_else(PoisonError::into_inner);
        let mut areas = Vec::new();
        for Occurrence { mux, mount_point } in self.occurrences(mount_point)? {
            areas.extend(Area::of(&mount_point, location)?.map(|area| (mux, area)));
        }
        areas.into_iter().for_each(|(mux, area)| mux.insert_area(area));
        Ok(())
    }

    /// Puts all of `inner`, with what it gets later, behind a prefix at a mount point of this mux.
    pub(super) fn attach(
        self: &Arc<MuxState>,
        mount_point: &MountPoint,
        (attaching, prefix): (Attaching, &Prefix),
        inner: &Arc<MuxState>,
        location: &'static Location<'static>,
    ) -> Result<()> {
        let _one_at_a_time = REGISTRATION.lock().unwrap_or_else(PoisonError::into_inner);
        let step = Step::Into(inner.scope.clone());
        let attached = match attaching {
            Attaching::Mount => mount_point.below(prefix, Some(step))?,
            Attaching::Merge => mount_point.within(prefix, step)?,
        };
        let occurrences = self.occurrences(&attached)?;
        if occurrences.iter().any(|occurrence| Arc::ptr_eq(&occurrence.mux, inner)) {
            return Err(Error::new(ErrorKind::Invalid, "a mux cannot be mounted in itself"));
        }
        let mut routes = Vec::new();
        for Occurrence { mux, mount_point } in &occurrences {
            for route in inner.routes.iter() {
                let pattern = Pattern::parse(&mount_point.prefix.before(&route.pattern.text)?, route.pattern.location)?;
                let steps = mount_point.steps_to(&route.steps);
                routes.push((mux.clone(), RegisteredRoute { pattern, handler: route.handler.clone(), steps }));
            }
        }
        // Before anything is inserted, so that nothing is where one of them is refused.
        let mut areas = Vec::new();
        for Occurrence { mux, mount_point } in occurrences {
            if attaching == Attaching::Mount {
                areas.extend(Area::of(&mount_point, location)?.map(|area| (mux.clone(), area)));
            }
            for area in inner.areas.iter() {
                let text = mount_point.prefix.before(&area.pattern.text)?;
                let steps = mount_point.steps_to(&area.steps);
                areas.push((mux.clone(), Area { pattern: Pattern::parse(&text, location)?, steps }));
            }
        }
        insert_all(routes)?;
        areas.into_iter().for_each(|(mux, area)| mux.insert_area(area));
        inner.write().attachments.push(Attachment { outer: Arc::downgrade(self), mount_point: attached });
        Ok(())
    }

    /// This mux and all that it is mounted in, each with where this mount point is in it.
    fn occurrences(self: &Arc<MuxState>, mount_point: &MountPoint) -> Result<Vec<Occurrence>> {
        let mut all = vec![Occurrence { mux: self.clone(), mount_point: mount_point.clone() }];
        let mut looked_at = 0;
        while let Some(Occurrence { mux, mount_point }) = all.get(looked_at) {
            let mut outer = Vec::new();
            for attachment in &mux.read().attachments {
                let Some(mux) = attachment.outer.upgrade() else { continue };
                outer.push(Occurrence { mux, mount_point: attachment.mount_point.join(mount_point)? });
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

    fn insert_area(&self, area: Area) {
        let id = RouteId(self.areas.push(area));
        let area = self.areas.get(id.0).expect("it was put in just now");
        self.write().areas.insert(&area.pattern, id);
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
