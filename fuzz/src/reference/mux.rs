//! Patterns compared with requests one by one, and with each other by all the paths that tell them apart.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::rc::Rc;
use std::sync::LazyLock;

use nethttp::mux::Lookup;

use crate::input::Input;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Name(Vec<u8>),
    /// Something between these.
    Between(Vec<u8>, Vec<u8>),
    One,
    Rest,
    End,
}

pub struct Pattern {
    text: String,
    method: Option<String>,
    host: Option<String>,
    segments: Vec<Segment>,
    /// Which paths of the universe it takes.
    takes: Rc<Vec<bool>>,
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

/// So many segments, a letter each.
pub fn path(line: &mut Input<'_>, segments: &[&str], most: usize) -> String {
    let mut path = String::new();
    while path.is_empty() || (!line.is_empty() && path.matches('/').count() < most) {
        path = format!("{path}/{}", line.pick(segments));
    }
    path
}

/// All paths of few segments with the names that the target's patterns and requests have, and one more.
static UNIVERSE: LazyLock<Vec<String>> = LazyLock::new(|| {
    // Each set of segments that some patterns take and others do not has one of these.
    let names = ["a", "b", "", "c", "a%2Fb", "%2A", "%", "d", "ab", "acb", "abb", "abc", "cb"];
    let mut all = vec![String::new()];
    let mut from = 0;
    for _ in 0..4 {
        let longer = all[from..].iter().flat_map(|path| names.map(|name| format!("{path}/{name}")));
        // Of the longest ones, some: a pattern has three segments.
        let longer: Vec<String> = longer.take(2_600).collect();
        from = all.len();
        all.extend(longer);
    }
    all.split_off(1)
});

impl Pattern {
    /// A pattern that the mux took.
    pub fn read(text: &str) -> Pattern {
        let (method, rest) = text.split_once(' ').map_or((None, text), |(method, rest)| (Some(method.into()), rest));
        let (host, path) = rest.split_at(rest.find('/').expect("it has a path"));
        let names: Vec<&str> = path[1..].split('/').collect();
        let segment = |(at, name): (usize, &&str)| match *name {
            "" if at + 1 == names.len() => Segment::Rest,
            "{$}" => Segment::End,
            name if name.ends_with("...}") => Segment::Rest,
            name if name.starts_with('{') && name.ends_with('}') => Segment::One,
            name => match name.split_once('{') {
                Some((before, rest)) => {
                    let (_, after) = rest.split_once('}').expect("the mux took it");
                    Segment::Between(decoded(before), decoded(after))
                }
                None => Segment::Name(decoded(name)),
            },
        };
        let segments: Vec<Segment> = names.iter().enumerate().map(segment).collect();
        let host = Some(bare(host)).filter(|host| !host.is_empty());
        let takes = known(path, &segments);
        Pattern { text: text.into(), method, host, segments, takes }
    }

    fn takes_method(&self, method: &str) -> bool {
        self.method.as_deref().is_none_or(|own| own == method || (own == "GET" && method == "HEAD"))
    }

    fn takes_host(&self, host: &str) -> bool {
        self.host.as_deref().is_none_or(|own| is_host(own, host))
    }

    /// Whether all hosts that it takes are taken by the other too.
    fn host_is_within(&self, other: &Pattern) -> bool {
        match (&self.host, &other.host) {
            (_, None) => true,
            (None, _) => false,
            // A label of one wildcard is a host of the other's wildcard, and of no name's.
            (Some(own), Some(other)) => is_host(other, own),
        }
    }

    fn shares_hosts(&self, other: &Pattern) -> bool {
        let (Some(own), Some(other)) = (&self.host, &other.host) else { return true };
        let labels = |host: &str| host.split('.').map(str::to_owned).collect::<Vec<_>>();
        let (own, other) = (labels(own), labels(other));
        own.len() == other.len()
            && own.iter().zip(&other).all(|(own, other)| own == other || own == "*" || other == "*")
    }

    /// Whether it takes this path, and more than as one below it.
    fn is_exact(&self, path: &str) -> bool {
        let is_rest = self.segments.last() == Some(&Segment::Rest);
        !is_rest || (path.ends_with('/') && path.matches('/').count() == self.segments.len())
    }
}

/// A pattern's place in the universe, found once.
fn known(path: &str, segments: &[Segment]) -> Rc<Vec<bool>> {
    thread_local! {
        static KNOWN: RefCell<HashMap<String, Rc<Vec<bool>>>> = RefCell::default();
    }
    let find = || Rc::new(UNIVERSE.iter().map(|path| takes(segments, path)).collect());
    KNOWN.with_borrow_mut(|known| known.entry(path.to_owned()).or_insert_with(find).clone())
}

fn takes(segments: &[Segment], path: &str) -> bool {
    let names: Vec<&str> = path[1..].split('/').collect();
    for (at, segment) in segments.iter().enumerate() {
        let is_last = at + 1 == names.len();
        let Some(name) = names.get(at) else { return false };
        let is_end = name.is_empty() && is_last;
        match segment {
            Segment::Rest => return true,
            Segment::End => return is_end,
            Segment::One if is_end => return false,
            Segment::Name(own) if is_end || decoded(name) != *own => return false,
            Segment::Between(before, after) if is_end || !is_between(&decoded(name), before, after) => return false,
            Segment::One | Segment::Name(_) | Segment::Between(..) => {}
        }
    }
    segments.len() == names.len()
}

fn is_between(name: &[u8], before: &[u8], after: &[u8]) -> bool {
    name.len() > before.len() + after.len() && name.starts_with(before) && name.ends_with(after)
}

/// A name without its escapes; as it is, where one of them is none.
fn decoded(name: &str) -> Vec<u8> {
    let (mut decoded, mut rest) = (Vec::new(), name.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        if *first != b'%' {
            decoded.push(*first);
            rest = after;
            continue;
        }
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) else { return name.into() };
        decoded.push(byte);
        rest = &after[2..];
    }
    decoded
}

/// In lower case, without port and brackets, and with a star for a wildcard.
fn bare(host: &str) -> String {
    let host = host.to_ascii_lowercase().replace("{s}", "*");
    let end = match host.strip_prefix('[') {
        Some(address) => return address.split(']').next().unwrap_or(address).to_owned(),
        None => host.find(':').unwrap_or(host.len()),
    };
    host[..end].to_owned()
}

/// Whether one takes all that the other takes, in both directions, and whether they share something.
fn relation(one: &Pattern, other: &Pattern) -> (bool, bool, bool) {
    let methods = ["GET", "HEAD", "POST", "PUT"].map(|method| (one.takes_method(method), other.takes_method(method)));
    let paths = || one.takes.iter().copied().zip(other.takes.iter().copied());
    let within = |(a, b): (bool, bool)| !a || b;
    let around = |(a, b): (bool, bool)| a || !b;
    let shares = |(a, b): (bool, bool)| a && b;
    (
        paths().all(within) && methods.into_iter().all(within),
        paths().all(around) && methods.into_iter().all(around),
        paths().any(shares) && methods.into_iter().any(shares),
    )
}

fn conflict(one: &Pattern, other: &Pattern) -> bool {
    let (is_within, is_around, shares) = relation(one, other);
    match (one.host_is_within(other), other.host_is_within(one)) {
        (true, true) => shares && is_within == is_around,
        (false, false) => one.shares_hosts(other) && shares,
        // The narrower host wins.
        _ => false,
    }
}

/// With a star for any label that is not empty.
fn is_host(own: &str, host: &str) -> bool {
    let (own, host): (Vec<&str>, Vec<&str>) = (own.split('.').collect(), host.split('.').collect());
    let takes = |(own, label): (&&str, &&str)| own == label || (*own == "*" && !label.is_empty());
    own.len() == host.len() && own.iter().zip(&host).all(takes)
}

pub fn stands_beside(new: &Pattern, others: &[Pattern]) {
    let in_the_way = others.iter().find(|other| conflict(new, other));
    assert!(in_the_way.is_none(), "{new:?} is taken beside {in_the_way:?}");
}

/// What is no pattern at all is refused too, and is not judged.
pub fn refusal_is_due(text: &str, patterns: &[Pattern], reason: &str) {
    if reason.contains("conflicts with") {
        let new = Pattern::read(text);
        assert!(patterns.iter().any(|other| conflict(&new, other)), "{text} is refused beside {patterns:?}: {reason}");
    }
}

/// A request, as far as a mux looks at it.
#[derive(Debug)]
pub struct MuxRequest<'a> {
    method: &'a str,
    host: String,
    path: &'a str,
    is_clean: bool,
}

impl<'a> MuxRequest<'a> {
    pub fn new(method: &'a str, host: &str, path: &'a str) -> MuxRequest<'a> {
        MuxRequest { method, host: bare(host), path, is_clean: is_clean(path) }
    }

    /// The pattern within all others that take it; one with a host goes first.
    fn best<'p>(&self, path: &str, patterns: &'p [Pattern]) -> Option<&'p Pattern> {
        let takes =
            |one: &&Pattern| one.takes_host(&self.host) && one.takes_method(self.method) && takes(&one.segments, path);
        let all: Vec<&Pattern> = patterns.iter().filter(takes).collect();
        let beats = |one: &Pattern, other: &Pattern| match (one.host_is_within(other), other.host_is_within(one)) {
            (true, true) => relation(one, other).0,
            (is_narrower, _) => is_narrower,
        };
        all.iter().copied().find(|one| all.iter().all(|other| std::ptr::eq(*one, *other) || beats(one, other)))
    }

    /// The methods that are registered for the path, or for the one with a slash.
    fn allowed(&self, patterns: &[Pattern]) -> String {
        let slashed = format!("{}/", self.path);
        let is_open = !self.path.ends_with('/');
        let leads = |one: &&Pattern| {
            let takes_slashed = is_open && takes(&one.segments, &slashed) && one.is_exact(&slashed);
            one.takes_host(&self.host) && (takes(&one.segments, self.path) || takes_slashed)
        };
        let mut methods: BTreeSet<&str> =
            patterns.iter().filter(leads).filter_map(|one| one.method.as_deref()).collect();
        if methods.contains("GET") {
            methods.insert("HEAD");
        }
        methods.into_iter().collect::<Vec<_>>().join(", ")
    }
}

fn is_clean(path: &str) -> bool {
    let names: Vec<&str> = path[1..].split('/').collect();
    let is_plain =
        |(at, name): (usize, &&str)| !matches!(*name, "." | "..") && (!name.is_empty() || at + 1 == names.len());
    names.iter().enumerate().all(is_plain)
}

/// The mux says what comes of comparing the request with each pattern.
pub fn is_decided(request: &MuxRequest<'_>, patterns: &[Pattern], found: &Lookup) {
    let text = |pattern: Option<&Pattern>| pattern.map_or(String::new(), |pattern| pattern.text.clone());
    let own = request.best(request.path, patterns);
    match found {
        Lookup::Matched { pattern } => {
            assert!(request.is_clean, "{request:?} is not cleaned");
            assert_eq!(text(own), **pattern, "{request:?} of {patterns:?}");
            let slashed = format!("{}/", request.path);
            let is_below = !request.path.ends_with('/') && own.is_some_and(|own| !own.is_exact(request.path));
            let is_missing = is_below && request.best(&slashed, patterns).is_some_and(|other| other.is_exact(&slashed));
            assert!(!is_missing, "no slash is added: {request:?} of {patterns:?}");
        }
        Lookup::Redirect { location, pattern } => {
            assert!(location.starts_with('/') && is_clean(location) && !location.starts_with("/\\"), "{location}");
            assert!(!request.is_clean || *location == format!("{}/", request.path), "{request:?} leads to {location}");
            let there = request.best(location, patterns);
            assert_eq!(text(there), **pattern, "{request:?} leads to {location} of {patterns:?}");
            assert!(!request.is_clean || there.is_some(), "{request:?} leads to nothing");
        }
        Lookup::MethodNotAllowed { allow } => {
            assert!(request.is_clean && own.is_none(), "{request:?} is {own:?}");
            assert_eq!(request.allowed(patterns), *allow, "{request:?} of {patterns:?}");
            assert!(!allow.is_empty());
        }
        Lookup::NotFound => {
            let is_none = own.is_none() && request.allowed(patterns).is_empty();
            assert!(request.path == "/*" || (request.is_clean && is_none), "{request:?} is {own:?} of {patterns:?}");
        }
        _ => panic!("{found:?}"),
    }
}
