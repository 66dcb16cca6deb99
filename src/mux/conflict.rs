//! Which of two patterns is more specific, what to say when neither is, and which of the registered
//! patterns a new one has to be compared with.
//!
//! A pattern stands for a set of requests. Where one set contains the other, the smaller one wins.
//! Two sets that share a request, while each has others as well, are refused at registration: so no
//! request is ever ambiguous, and the order of registration does not matter.
//!
//! Hosts come first: the pattern with the narrower host wins, whatever the paths are. So only patterns of
//! the same host, or of hosts that overlap (`{a}.b.test` and `x.{b}.test`), can be in each other's way.
//!
//! Two patterns share a path only if, wherever one has a name, the other has the same name or a
//! wildcard. So it is enough to look at one name of a new pattern, the one that the fewest others
//! share, and to compare with those: registering many routes does not compare each with each.

use std::collections::HashMap;

use percent_encoding::percent_encode;

use super::host::ANY_LABEL;
use super::pattern::Pattern;
use super::segment::{Partial, Segment};
use super::tree::RouteId;
use crate::error::{Error, ErrorKind};
use crate::message::NOT_IN_A_PATH;

/// How the requests that the left pattern matches relate to those that the right one matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    /// The same.
    Equal,
    /// All of the right one's, and more.
    Wider,
    /// A part of the right one's.
    Narrower,
    /// Some of the right one's, and some others.
    Overlapping,
    /// Nothing of the right one's.
    Disjoint,
}

use Relation::{Disjoint, Equal, Narrower, Overlapping, Wider};

impl Relation {
    /// The relation of two patterns from the relations of two parts of them that are independent of each
    /// other.
    fn and(self, other: Relation) -> Relation {
        match (self, other) {
            (Disjoint, _) | (_, Disjoint) => Disjoint,
            (Equal, relation) | (relation, Equal) => relation,
            (Wider, Wider) => Wider,
            (Narrower, Narrower) => Narrower,
            _ => Overlapping,
        }
    }
}

/// Why `new` may not be registered beside `old`; `None` when it may.
pub(super) fn conflict(new: &Pattern, old: &Pattern) -> Option<Error> {
    let is_conflict = match hosts(&new.host.mask, &old.host.mask) {
        // The pattern with the narrower host wins.
        Disjoint | Wider | Narrower => false,
        Equal => matches!(methods_and_paths(new, old), Equal | Overlapping),
        // Neither host is narrower, and so neither pattern is.
        Overlapping => methods_and_paths(new, old) != Disjoint,
    };
    is_conflict.then(|| {
        let message = format!(
            "pattern {:?} (registered at {}) conflicts with pattern {:?} (registered at {}): {}",
            new.text,
            new.location,
            old.text,
            old.location,
            explain(new, old)
        );
        Error::new(ErrorKind::Invalid, message)
    })
}

/// Compares masks of hosts, label by label.
pub(super) fn hosts(left: &str, right: &str) -> Relation {
    match (left, right) {
        ("", "") => return Equal,
        // A pattern without a host is for every one.
        ("", _) => return Wider,
        (_, "") => return Narrower,
        _ if left.split('.').count() != right.split('.').count() => return Disjoint,
        _ => {}
    }
    let labels = left.split('.').zip(right.split('.')).map(|(left, right)| match (left, right) {
        (left, right) if left == right => Equal,
        (ANY_LABEL, _) => Wider,
        (_, ANY_LABEL) => Narrower,
        _ => Disjoint,
    });
    labels.fold(Equal, Relation::and)
}

/// Compares methods and paths, not hosts.
pub(super) fn methods_and_paths(left: &Pattern, right: &Pattern) -> Relation {
    match methods(left, right) {
        Disjoint => Disjoint,
        relation => relation.and(paths(left, right)),
    }
}

fn methods(left: &Pattern, right: &Pattern) -> Relation {
    match (left.method.as_deref(), right.method.as_deref()) {
        (left, right) if left == right => Equal,
        // GET serves HEAD too.
        (None, _) | (Some("GET"), Some("HEAD")) => Wider,
        (_, None) | (Some("HEAD"), Some("GET")) => Narrower,
        _ => Disjoint,
    }
}

fn paths(left: &Pattern, right: &Pattern) -> Relation {
    let mut relation = Equal;
    for (left, right) in left.segments.iter().zip(&right.segments) {
        relation = relation.and(segments(left, right));
        if relation == Disjoint {
            return Disjoint;
        }
    }
    // The shorter one's rest matches everything that the remaining segments of the longer one match.
    match left.segments.len().cmp(&right.segments.len()) {
        std::cmp::Ordering::Equal => relation,
        std::cmp::Ordering::Less if left.ends_in_rest() => relation.and(Wider),
        std::cmp::Ordering::Greater if right.ends_in_rest() => relation.and(Narrower),
        _ => Disjoint,
    }
}

fn segments(left: &Segment, right: &Segment) -> Relation {
    use Segment::{Literal, Partial, Rest, Single, Slash};
    match (left, right) {
        (Rest(_), Rest(_)) | (Single(_), Single(_)) | (Slash, Slash) => Equal,
        (Literal(left), Literal(right)) if left == right => Equal,
        (Partial(left), Partial(right)) => partials(left, right),
        (Partial(left), Literal(right)) if left.value(right).is_some() => Wider,
        (Literal(left), Partial(right)) if right.value(left).is_some() => Narrower,
        (Rest(_), _) | (Single(_), Literal(_) | Partial(_)) => Wider,
        (_, Rest(_)) | (Literal(_) | Partial(_), Single(_)) => Narrower,
        // No name, and no wildcard for one, stands for a slash at the end.
        (Literal(_), Literal(_) | Partial(_) | Slash)
        | (Partial(_), Literal(_) | Slash)
        | (Single(_), Slash)
        | (Slash, _) => Disjoint,
    }
}

/// What a wildcard stands for may be of any length. So two of them have a segment in common if the text
/// before one begins with the text before the other, and the same with the ends after them; and all
/// segments of one are the other's if it has the longer text on both sides.
fn partials(left: &Partial, right: &Partial) -> Relation {
    let longer = |is_left: bool, is_right: bool| match (is_left, is_right) {
        (true, true) => Equal,
        (true, false) => Narrower,
        (false, true) => Wider,
        (false, false) => Disjoint,
    };
    let before = longer(left.before.starts_with(&right.before), right.before.starts_with(&left.before));
    let after = longer(left.after.ends_with(&right.after), right.after.ends_with(&left.after));
    before.and(after)
}

fn explain(new: &Pattern, old: &Pattern) -> String {
    let (left, right) = (&new.text, &old.text);
    if hosts(&new.host.mask, &old.host.mask) == Overlapping {
        let host = host_of_both(&new.host.mask, &old.host.mask);
        return format!(
            "both match {:?} of the host {host:?}, and neither host is more specific",
            path_of_both(new, old)
        );
    }
    match (methods(new, old), paths(new, old)) {
        (Equal, Equal) => "both match the same requests".into(),
        (_, Overlapping) => format!(
            "both match {:?}, and neither is more specific; {left:?} alone matches {:?}, {right:?} alone matches {:?}",
            path_of_both(new, old),
            path_of_left(new, old),
            path_of_left(old, new),
        ),
        (Wider, _) => format!("{left:?} matches more methods, but its path is more specific"),
        _ => format!("{left:?} matches fewer methods, but its path is more general"),
    }
}

/// A host that both match, for hosts that overlap.
fn host_of_both(left: &str, right: &str) -> String {
    let labels = left.split('.').zip(right.split('.')).map(|labels| match labels {
        (ANY_LABEL, ANY_LABEL) => "x",
        (ANY_LABEL, label) | (label, _) => label,
    });
    labels.collect::<Vec<_>>().join(".")
}

/// A path that both match, for patterns whose paths are not disjoint.
fn path_of_both(left: &Pattern, right: &Pattern) -> String {
    let mut path = String::new();
    for (left, right) in left.segments.iter().zip(&right.segments) {
        push_both(&mut path, left, right);
    }
    push_left_over(&mut path, left, right);
    push_left_over(&mut path, right, left);
    path
}

/// A path that the left one matches and the right one does not, for patterns whose paths overlap.
fn path_of_left(left: &Pattern, right: &Pattern) -> String {
    let mut path = String::new();
    for (left, right) in left.segments.iter().zip(&right.segments) {
        match (left, right) {
            // The only thing that {$} does not match is a name.
            (Segment::Rest(name), Segment::Slash) => {
                path.push('/');
                path.push_str(name.as_deref().unwrap_or("x"));
                return path;
            }
            // A rest matches an empty path; a segment does not.
            (Segment::Rest(_), _) => {
                path.push('/');
                return path;
            }
            _ => match text_of_left(left, right) {
                Some(text) => push_text(&mut path, &text),
                None => push_both(&mut path, left, right),
            },
        }
    }
    push_left_over(&mut path, left, right);
    path
}

/// A segment that the left one matches and the right one does not; `None` where there is none.
fn text_of_left(left: &Segment, right: &Segment) -> Option<Vec<u8>> {
    let with_value = |value: &[u8]| match left {
        Segment::Single(_) => Some(value.to_vec()),
        Segment::Partial(partial) => Some(partial.with_value(value)),
        _ => None,
    };
    let is_rights = |text: &[u8]| match right {
        Segment::Literal(literal) => **literal == *text,
        Segment::Partial(partial) => partial.value(text).is_some(),
        _ => true,
    };
    // The wildcard's own name reads best. Where the right one wants another beginning or end of the value,
    // one of two letters is not it.
    let name = left.name()?;
    let values = [name.to_owned(), format!("{name}x"), "x".to_owned(), "y".to_owned()];
    values.iter().filter_map(|value| with_value(value.as_bytes())).find(|text| !is_rights(text))
}

/// A segment that both match.
fn push_both(path: &mut String, left: &Segment, right: &Segment) {
    match (left, right) {
        (Segment::Partial(left), Segment::Partial(right)) => {
            let longer = |left: &Partial, right: &Partial, of: fn(&Partial) -> &[u8]| {
                if of(left).len() < of(right).len() { of(right).to_vec() } else { of(left).to_vec() }
            };
            let before = longer(left, right, |partial| &partial.before);
            let after = longer(left, right, |partial| &partial.after);
            push_text(path, &[&*before, left.name.as_bytes(), &*after].concat());
        }
        _ => push(path, if segments(left, right) == Wider { right } else { left }),
    }
}

/// The segments of the longer one beyond the shorter one.
fn push_left_over(path: &mut String, longer: &Pattern, shorter: &Pattern) {
    for segment in longer.segments.iter().skip(shorter.segments.len()) {
        push(path, segment);
    }
}

/// A piece of path that this segment matches; a wildcard stands for its own name.
fn push(path: &mut String, segment: &Segment) {
    match segment {
        Segment::Literal(literal) => push_text(path, literal),
        Segment::Partial(partial) => push_text(path, &partial.with_value(partial.name.as_bytes())),
        Segment::Single(name) => push_text(path, name.as_bytes()),
        // A rest wants the last slash only, and after one there is no second.
        Segment::Rest(_) | Segment::Slash => path.push('/'),
    }
}

fn push_text(path: &mut String, text: &[u8]) {
    path.push('/');
    path.extend(percent_encode(text, &NOT_IN_A_SEGMENT));
}

const NOT_IN_A_SEGMENT: percent_encoding::AsciiSet = NOT_IN_A_PATH.add(b'/').add(b'%');

/// The patterns of one host, by what they have at each position.
#[derive(Default)]
pub(super) struct Index {
    all: Vec<RouteId>,
    /// Those with this at this position.
    at: HashMap<(usize, SegmentKey), Vec<RouteId>>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum SegmentKey {
    Literal(Box<[u8]>),
    Slash,
    Partial,
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
            Segment::Partial(_) | Segment::Single(_) | Segment::Rest(_) => None,
        });
        let fewest = names.min_by_key(|lists| lists.iter().map(|list| list.len()).sum::<usize>());
        fewest.unwrap_or_else(|| vec![&self.all]).into_iter().flatten().copied()
    }

    /// Those that have the same at this position, or a wildcard that stands for it: a rest may
    /// have begun earlier.
    fn sharing(&self, position: usize, key: SegmentKey) -> Vec<&[RouteId]> {
        let rests = (0..=position).map(|earlier| (earlier, SegmentKey::Rest));
        let keys = rests.chain([SegmentKey::Single, SegmentKey::Partial, key].map(|key| (position, key)));
        keys.filter_map(|key| self.at.get(&key)).map(Vec::as_slice).collect()
    }
}

fn key(segment: &Segment) -> SegmentKey {
    match segment {
        Segment::Literal(name) => SegmentKey::Literal(name.clone()),
        Segment::Partial(_) => SegmentKey::Partial,
        Segment::Single(_) => SegmentKey::Single,
        Segment::Rest(_) => SegmentKey::Rest,
        Segment::Slash => SegmentKey::Slash,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::panic::Location;

    use super::super::path::{PathStep, step};
    use super::*;
    use crate::message::unescape_segment;

    pub(in super::super) fn pattern(text: &str) -> Pattern {
        Pattern::parse(text, Location::caller()).unwrap()
    }

    /// The rule of one pattern, written down apart from the tree.
    pub(in super::super) fn matches_path(pattern: &Pattern, path: &str) -> bool {
        let mut rest = path;
        for segment in &pattern.segments {
            match (segment, step(rest)) {
                (Segment::Rest(_), PathStep::Slash | PathStep::Segment(..)) | (Segment::Slash, PathStep::Slash) => {
                    return true;
                }
                (Segment::Single(_), PathStep::Segment(_, further)) => rest = further,
                (Segment::Partial(own), PathStep::Segment(sent, further))
                    if is_around(own, &unescape_segment(sent)) =>
                {
                    rest = further;
                }
                (Segment::Literal(name), PathStep::Segment(sent, further)) if **name == *unescape_segment(sent) => {
                    rest = further;
                }
                _ => return false,
            }
        }
        step(rest) == PathStep::End
    }

    fn is_around(own: &Partial, sent: &[u8]) -> bool {
        sent.len() > own.before.len() + own.after.len() && sent.starts_with(&own.before) && sent.ends_with(&own.after)
    }

    fn mirrored(relation: Relation) -> Relation {
        match relation {
            Wider => Narrower,
            Narrower => Wider,
            same => same,
        }
    }

    #[test]
    fn methods_and_paths_are_compared_as_sets() {
        let cases = [
            ("/", "/", Equal),
            ("/a", "/a", Equal),
            ("/{x}", "/{y}", Equal),
            ("/{x...}", "/", Equal),
            ("/%61", "/a", Equal),
            ("GET /a", "GET /a", Equal),
            ("/", "/a", Wider),
            ("/", "/{$}", Wider),
            ("/", "/{x}", Wider),
            ("/{x}", "/a", Wider),
            ("/{x}", "/%2F", Wider),
            ("/a/", "/a/b/c", Wider),
            ("/a/", "/a/{$}", Wider),
            ("/a", "GET /a", Wider),
            ("GET /a", "HEAD /a", Wider),
            ("/", "GET /a", Wider),
            ("/{x}/{y}", "/a/b", Wider),
            ("/{x}/b/{y...}", "/a/b/c", Wider),
            ("/a", "/b", Disjoint),
            ("/a", "/a/", Disjoint),
            ("/a", "/a/b", Disjoint),
            ("/{x}", "/{$}", Disjoint),
            ("/{x}", "/{x}/", Disjoint),
            ("/a/{x}", "/b/{x}", Disjoint),
            ("/a/{$}", "/a/b", Disjoint),
            ("/%2F", "/{$}", Disjoint),
            ("/{x}/a", "/b/{y}/", Disjoint),
            ("GET /a", "POST /a", Disjoint),
            ("HEAD /a", "POST /a", Disjoint),
            ("GET /a", "gets /a", Disjoint),
            ("/a/{x}", "/{x}/b", Overlapping),
            ("/a/", "/{x}/b", Overlapping),
            ("/a/{x...}", "/{x}/{$}", Overlapping),
            ("/{x}/b/", "/a/{y}/c", Overlapping),
            ("GET /", "/a", Overlapping),
            ("GET /a", "HEAD /", Wider.and(Narrower)),
            ("/{x}.json", "/{y}.json", Equal),
            ("/{x}", "/{y}.json", Wider),
            ("/{x}.gz", "/{y}.tar.gz", Wider),
            ("/a{x}", "/ab{y}c", Wider),
            ("/{x}.json", "/a%2Ejson", Wider),
            ("/{x}.json", "/.json", Disjoint),
            ("/{x}.json", "/{y}.xml", Disjoint),
            ("/a{x}", "/b{y}", Disjoint),
            ("/a{x}", "/{$}", Disjoint),
            ("/a{x}c", "/ac", Disjoint),
            ("/", "/a{x}", Wider),
            ("/a{x}", "/{y}b", Overlapping),
            ("/a{x}c", "/ab{y}", Overlapping),
            ("/a{x}/{y}", "/{x}b/z", Overlapping),
            ("/a{x}/y", "/{x}b/z", Disjoint),
            ("/{x}:go", "/{x}:stop", Disjoint),
        ];
        for (left, right, expected) in cases {
            let (left, right) = (pattern(left), pattern(right));
            assert_eq!(methods_and_paths(&left, &right), expected, "{} {}", left.text, right.text);
            assert_eq!(methods_and_paths(&right, &left), mirrored(expected), "{} {}", right.text, left.text);
        }
    }

    #[test]
    fn a_host_never_conflicts_with_another_or_with_none() {
        assert!(conflict(&pattern("a.test/"), &pattern("/")).is_none());
        assert!(conflict(&pattern("a.test/a/{x}"), &pattern("/{x}/a")).is_none());
        assert!(conflict(&pattern("a.test/"), &pattern("b.test/")).is_none());
        assert!(conflict(&pattern("a.test/"), &pattern("A.TEST/")).is_some(), "hosts fold case");
        assert!(conflict(&pattern("{a}.test/"), &pattern("b.test/")).is_none(), "the narrower host wins");
        assert!(conflict(&pattern("{a}.test/{x}/b"), &pattern("b.test/a/{x}")).is_none());
        assert!(conflict(&pattern("{a}.test/"), &pattern("{a}.b.test/")).is_none());
    }

    #[test]
    fn hosts_that_overlap_conflict_where_the_paths_share_anything() {
        for (new, old, is_conflict) in [
            ("{a}.test/x", "{b}.test/x", true),
            ("{a}.test/x", "{b}.test/", false),
            ("{a}.b.test/x", "x.{b}.test/x", true),
            ("{a}.b.test/x", "x.{b}.test/", true),
            ("{a}.b.test/x", "x.{b}.test/y", false),
            ("GET {a}.b.test/", "POST x.{b}.test/", false),
            ("{a}.{b}.test/", "x.{b}.test/", false),
        ] {
            assert_eq!(conflict(&pattern(new), &pattern(old)).is_some(), is_conflict, "{new} {old}");
            assert_eq!(conflict(&pattern(old), &pattern(new)).is_some(), is_conflict, "{old} {new}");
        }
        let why = conflict(&pattern("{a}.b.test/x"), &pattern("x.{b}.test/")).unwrap().to_string();
        assert!(
            why.ends_with("both match \"/x\" of the host \"x.b.test\", and neither host is more specific"),
            "{why}"
        );
    }

    #[test]
    fn a_conflict_is_explained() {
        let cases = [
            ("/a", "/a", "both match the same requests"),
            ("GET /{x}", "GET /{y}", "both match the same requests"),
            ("GET /", "/a", "\"GET /\" matches fewer methods, but its path is more general"),
            ("/a", "GET /", "\"/a\" matches more methods, but its path is more specific"),
            ("HEAD /", "GET /a", "\"HEAD /\" matches fewer methods, but its path is more general"),
            (
                "/a/{x}",
                "/{y}/b",
                "both match \"/a/b\", and neither is more specific; \
                 \"/a/{x}\" alone matches \"/a/x\", \"/{y}/b\" alone matches \"/y/b\"",
            ),
        ];
        for (new, old, why) in cases {
            let message = conflict(&pattern(new), &pattern(old)).unwrap().to_string();
            assert!(message.starts_with(&format!("pattern {new:?} (registered at ")), "{message}");
            assert!(message.contains(&format!(") conflicts with pattern {old:?} (registered at ")), "{message}");
            assert!(message.ends_with(&format!("): {why}")), "{message}");
        }
    }

    #[test]
    fn the_paths_that_explain_an_overlap_are_what_they_are_said_to_be() {
        let cases = [
            ("/a/{x}", "/{y}/b"),
            ("/a/", "/{x}/b"),
            ("/a/", "/{x}/{$}"),
            ("/a/{a...}", "/{x}/{$}"),
            ("/{x}/b/", "/a/{y}/c"),
            ("/{x}/b/", "/a/{y...}"),
            ("/{x}/b/{z}/", "/a/{y}/{z}/{w}/"),
            ("/{a}/b", "/a/{b}"),
            ("/{x}/a%2Fb", "/%25/{x}"),
            ("/{x}/c/{y}/d", "/a/{x}/b/"),
            ("/{x}/{$}", "/a/{y...}"),
            ("/a{x}", "/{y}b"),
            ("/a{x}c", "/ab{y}"),
            ("/{x}x", "/x{y}"),
            ("/{x}/b", "/a{x}/{y}"),
            ("/x{x}/{y}", "/{x}y/{y}.z"),
            ("/{n}%2F/{m}", "/%25{n}/{m}%20"),
        ];
        for (left, right) in cases.into_iter().flat_map(|(left, right)| [(left, right), (right, left)]) {
            let (left, right) = (pattern(left), pattern(right));
            assert_eq!(paths(&left, &right), Overlapping, "{} {}", left.text, right.text);
            let (both, alone) = (path_of_both(&left, &right), path_of_left(&left, &right));
            assert!(matches_path(&left, &both) && matches_path(&right, &both), "{} {}: {both}", left.text, right.text);
            assert!(
                matches_path(&left, &alone) && !matches_path(&right, &alone),
                "{} {}: {alone}",
                left.text,
                right.text
            );
        }
    }

    #[test]
    fn every_pattern_that_shares_a_path_is_a_candidate() {
        let pieces = ["/a", "/b", "/a{x}", "/{x}c", "/{x}", "/{$}", "/"];
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
    fn a_name_in_no_other_pattern_leaves_no_candidates() {
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
