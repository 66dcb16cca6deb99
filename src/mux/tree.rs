//! The routes as a tree: host, then method, then segment by segment.
//!
//! A lookup goes down by the names of the request, so its cost is that of the path and does not
//! grow with the number of routes. Where a name leads nowhere it goes back and tries the
//! wildcard beside it. Only one path from the root leads to each node, so a lookup visits it at most
//! once: the work is bounded by the nodes that the program registered (and, level by level, by twice
//! those of the level before), never by what a peer sends.

use std::collections::{BTreeMap, HashMap};

use super::host::HostMap;
use super::path::{PathStep, step};
use super::pattern::Pattern;
use super::segment::{Partial, Segment};
use crate::message::unescape_segment;

/// The place of a route in the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RouteId(pub(super) usize);

/// The place of a node in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct NodeId(usize);

/// All routes, by host, method and path.
#[derive(Default)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    hosts: HostMap<Methods>,
    hostless: Methods,
}

/// The roots of the paths of one host.
#[derive(Default)]
struct Methods {
    named: Children,
    /// That of GET once more, which nearly all requests ask for.
    get: Option<NodeId>,
    any: Option<NodeId>,
}

/// The continuations of a part of a path.
#[derive(Default)]
struct Node {
    children: Children,
    /// Those with the most text around their wildcard first: one that matches a part of what another one
    /// matches has more.
    partials: Vec<(Partial, NodeId)>,
    single: Option<NodeId>,
    /// The route whose path ends here,
    end: Option<RouteId>,
    /// whose path ends here with a slash,
    slash: Option<RouteId>,
    /// or goes on with anything.
    rest: Option<RouteId>,
}

/// How a route was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RouteMatch {
    /// Its pattern has a piece for each piece of the path.
    Exact(RouteId),
    /// A part of the path is left to the rest at the end of its pattern.
    Within(RouteId),
}

impl RouteMatch {
    pub(super) fn route(self) -> RouteId {
        match self {
            RouteMatch::Exact(id) | RouteMatch::Within(id) => id,
        }
    }
}

/// How to treat the end of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// As the end.
    AsSent,
    /// As if a slash followed. Only for paths that do not end in one.
    WithSlash,
}

impl Tree {
    /// Puts a route in. Nothing in the tree may conflict with it; of two with the same pattern the first stays.
    pub(super) fn insert(&mut self, pattern: &Pattern, route: RouteId) {
        let mut at = self.root_for(pattern);
        for segment in &pattern.segments {
            let node = &mut self.nodes[at.0];
            let next = match segment {
                Segment::Literal(name) => node.children.get(name),
                Segment::Partial(partial) => {
                    node.partials.iter().find(|(other, _)| other.matches_as(partial)).map(|&(_, node)| node)
                }
                Segment::Single(_) => node.single,
                Segment::Slash => {
                    node.slash.get_or_insert(route);
                    return;
                }
                Segment::Rest(_) => {
                    node.rest.get_or_insert(route);
                    return;
                }
            };
            at = next.unwrap_or_else(|| self.grow(at, segment));
        }
        self.nodes[at.0].end.get_or_insert(route);
    }

    /// The most specific route for this request, in the host's own routes first.
    pub(super) fn find(&self, host: &str, method: &str, path: &str, ending: Ending) -> Option<RouteMatch> {
        if !self.asks_for_hosts() {
            return self.find_in(&self.hostless, method, path, ending);
        }
        self.methods_for(host).find_map(|methods| self.find_in(methods, method, path, ending))
    }

    /// Routes of the method itself first, then GET's for HEAD, then those for every method.
    fn find_in(&self, methods: &Methods, method: &str, path: &str, ending: Ending) -> Option<RouteMatch> {
        let below = |root: Option<NodeId>| self.walk(root?, path, ending);
        let named = if method == "GET" { methods.get } else { methods.named.get(method.as_bytes()) };
        below(named).or_else(|| if method == "HEAD" { below(methods.get) } else { None }).or_else(|| below(methods.any))
    }

    /// The methods that this path has routes for, as it is or with a slash at its end, each with one of
    /// them. Those that match every method are left out: they are found first.
    pub(super) fn allowed(&self, host: &str, path: &str) -> BTreeMap<&str, RouteId> {
        let endings: &[Ending] =
            if path.ends_with('/') { &[Ending::AsSent] } else { &[Ending::AsSent, Ending::WithSlash] };
        let mut allowed = BTreeMap::new();
        for (method, root) in self.methods_for(host).flat_map(|methods| methods.named.iter()) {
            let Ok(method) = std::str::from_utf8(method) else { continue };
            if let Some(found) = endings.iter().find_map(|&ending| self.walk(root, path, ending)) {
                allowed.entry(method).or_insert(found.route());
            }
        }
        if let Some(&route) = allowed.get("GET") {
            allowed.entry("HEAD").or_insert(route);
        }
        allowed
    }

    /// Tries the name first, then wildcards for a part of the segment, the one for all of it, and the rest:
    /// the more specific ones first. What is found first is the most specific, because patterns that overlap are refused.
    fn walk(&self, at: NodeId, path: &str, ending: Ending) -> Option<RouteMatch> {
        let node = self.nodes.get(at.0)?;
        match step(path) {
            PathStep::End if ending == Ending::AsSent => node.end.map(RouteMatch::Exact),
            PathStep::End | PathStep::Slash => node.slash.or(node.rest).map(RouteMatch::Exact),
            PathStep::Segment(segment, further) => {
                let name = unescape_segment(segment);
                let partials = node.partials.iter().filter(|(partial, _)| partial.value(&name).is_some());
                let mut ways =
                    (node.children.get(&name).into_iter()).chain(partials.map(|&(_, node)| node)).chain(node.single);
                ways.find_map(|steps| self.walk(steps, further, ending)).or(node.rest.map(RouteMatch::Within))
            }
        }
    }

    /// Whether any route is for one host only.
    pub(super) fn asks_for_hosts(&self) -> bool {
        !self.hosts.is_empty()
    }

    /// Those of the narrowest host first.
    fn methods_for(&self, host: &str) -> impl Iterator<Item = &Methods> {
        // No host is compared where no pattern has one.
        let own = self.asks_for_hosts().then(|| self.hosts.matching(host));
        own.into_iter().flatten().chain([&self.hostless])
    }

    fn root_for(&mut self, pattern: &Pattern) -> NodeId {
        let fresh = NodeId(self.nodes.len());
        let methods = match &*pattern.host.mask {
            "" => &mut self.hostless,
            mask => self.hosts.get_or_default(mask),
        };
        let root = match &pattern.method {
            Some(method) => {
                let root = methods.named.get_or_insert(method.as_bytes(), fresh);
                if &**method == "GET" {
                    methods.get = Some(root);
                }
                root
            }
            None => *methods.any.get_or_insert(fresh),
        };
        if root == fresh {
            self.nodes.push(Node::default());
        }
        root
    }

    fn grow(&mut self, at: NodeId, segment: &Segment) -> NodeId {
        let fresh = NodeId(self.nodes.len());
        let node = &mut self.nodes[at.0];
        match segment {
            Segment::Literal(name) => _ = node.children.get_or_insert(name, fresh),
            Segment::Partial(partial) => {
                let text_bytes = partial.text_bytes();
                let at = node.partials.partition_point(|(other, _)| other.text_bytes() >= text_bytes);
                node.partials.insert(at, (partial.clone(), fresh));
            }
            _ => node.single = Some(fresh),
        }
        self.nodes.push(Node::default());
        fresh
    }
}

/// Nodes by name: a list while it is short, for comparing a few names is cheaper than hashing.
enum Children {
    Few(Vec<(Box<[u8]>, NodeId)>),
    Many(HashMap<Box<[u8]>, NodeId>),
}

/// The longest list.
const MAX_LIST_COUNT: usize = 8;

impl Default for Children {
    fn default() -> Children {
        Children::Few(Vec::new())
    }
}

impl Children {
    fn get(&self, name: &[u8]) -> Option<NodeId> {
        match self {
            Children::Few(list) => list.iter().find(|(other, _)| **other == *name).map(|&(_, node)| node),
            Children::Many(map) => map.get(name).copied(),
        }
    }

    fn get_or_insert(&mut self, name: &[u8], fresh: NodeId) -> NodeId {
        if let Some(node) = self.get(name) {
            return node;
        }
        match self {
            Children::Few(list) if list.len() < MAX_LIST_COUNT => list.push((name.into(), fresh)),
            Children::Few(list) => {
                let grown = list.drain(..).chain([(name.into(), fresh)]).collect();
                *self = Children::Many(grown);
            }
            Children::Many(map) => _ = map.insert(name.into(), fresh),
        }
        fresh
    }

    fn iter(&self) -> Box<dyn Iterator<Item = (&[u8], NodeId)> + '_> {
        match self {
            Children::Few(list) => Box::new(list.iter().map(|(name, node)| (&**name, *node))),
            Children::Many(map) => Box::new(map.iter().map(|(name, node)| (&**name, *node))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_are_found_by_name_in_a_list_and_in_a_map() {
        let mut children = Children::default();
        for n in 0..3 * MAX_LIST_COUNT {
            let name = n.to_string();
            assert_eq!(children.get(name.as_bytes()), None);
            assert_eq!(children.get_or_insert(name.as_bytes(), NodeId(n)), NodeId(n));
            assert_eq!(children.get_or_insert(name.as_bytes(), NodeId(99)), NodeId(n), "the first one stays");
            assert_eq!(matches!(children, Children::Few(_)), n < MAX_LIST_COUNT);
            assert!((0..=n).all(|n| children.get(n.to_string().as_bytes()) == Some(NodeId(n))));
            assert_eq!(children.iter().count(), n + 1);
        }
    }
}
