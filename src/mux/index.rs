//! Which registered patterns a new one could conflict with.
//!
//! Two patterns share a path only if, wherever the one has a name, the other has the same name
//! or a wildcard. So it is enough to look at one name of the new pattern, the one that fewest
//! others share, and to compare with those: registering many routes stays far below comparing
//! each with each.

use std::collections::HashMap;

use super::pattern::{Pattern, Segment};
use super::tree::RouteId;

/// The patterns of one host, by what they have at each position.
#[derive(Default)]
pub(super) struct Index {
    all: Vec<RouteId>,
    /// Those with this at this position.
    at: HashMap<(usize, Key), Vec<RouteId>>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    Literal(Box<[u8]>),
    Slash,
    Single,
    Rest,
}

impl Index {
    /// Puts a pattern in.
    pub(super) fn add(&mut self, pattern: &Pattern, route: RouteId) {
        self.all.push(route);
        for (position, segment) in pattern.segments.iter().enumerate() {
            self.at.entry((position, key(segment))).or_default().push(route);
        }
    }

    /// All that may share a path with the pattern, and perhaps some that do not.
    pub(super) fn candidates(&self, pattern: &Pattern) -> impl Iterator<Item = RouteId> {
        let names = pattern.segments.iter().enumerate().filter_map(|(position, segment)| match segment {
            Segment::Literal(_) | Segment::Slash => Some(self.sharing(position, key(segment))),
            Segment::Single(_) | Segment::Rest(_) => None,
        });
        let fewest = names.min_by_key(|lists| lists.iter().map(|list| list.len()).sum::<usize>());
        fewest.unwrap_or_else(|| vec![&self.all]).into_iter().flatten().copied()
    }

    /// Those that have the same at this position, or a wildcard that stands for it: a rest may
    /// have begun earlier.
    fn sharing(&self, position: usize, key: Key) -> Vec<&[RouteId]> {
        let rests = (0..=position).map(|earlier| (earlier, Key::Rest));
        let keys = rests.chain([(position, Key::Single), (position, key)]);
        keys.filter_map(|key| self.at.get(&key)).map(Vec::as_slice).collect()
    }
}

fn key(segment: &Segment) -> Key {
    match segment {
        Segment::Literal(name) => Key::Literal(name.clone()),
        Segment::Single(_) => Key::Single,
        Segment::Rest(_) => Key::Rest,
        Segment::Slash => Key::Slash,
    }
}

#[cfg(test)]
mod tests {
    use super::super::compare::tests::pattern;
    use super::super::compare::{Relation, methods_and_paths};
    use super::*;

    #[test]
    fn every_pattern_that_shares_a_path_is_a_candidate() {
        let pieces = ["/a", "/b", "/{x}", "/{$}", "/"];
        let mut texts = Vec::new();
        for first in pieces {
            texts.push(first.to_owned());
            for second in pieces.iter().filter(|_| !matches!(first, "/{$}" | "/")) {
                texts.push(format!("{first}{}", second.replace('x', "y")));
                for third in pieces.iter().filter(|_| !matches!(*second, "/{$}" | "/")) {
                    texts.push(format!("{first}{}{}", second.replace('x', "y"), third.replace('x', "z")));
                }
            }
        }
        let patterns: Vec<_> = texts.iter().map(|text| pattern(text)).collect();
        let mut index = Index::default();
        for (n, pattern) in patterns.iter().enumerate() {
            index.add(pattern, RouteId(n));
        }
        for new in &patterns {
            let candidates: Vec<_> = index.candidates(new).map(|route| route.0).collect();
            for (n, old) in patterns.iter().enumerate() {
                let shares = methods_and_paths(new, old) != Relation::Disjoint;
                assert!(!shares || candidates.contains(&n), "{} {}", new.text, old.text);
            }
        }
    }

    #[test]
    fn a_name_that_nobody_shares_leaves_no_candidates() {
        let mut index = Index::default();
        for n in 0..1_000 {
            let new = pattern(&format!("/api/item{n}/{{id}}/"));
            assert_eq!(index.candidates(&new).count(), 0);
            index.add(&new, RouteId(n));
        }
        assert_eq!(index.candidates(&pattern("/api/item7/{id}/edit")).count(), 1);
        assert_eq!(index.candidates(&pattern("/{x}")).count(), 1_000);
    }
}
