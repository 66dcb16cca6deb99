//! Hosts of patterns: a name, or one with wildcards for labels of it.
//!
//! A host with wildcards is kept as its mask: `{sub}.example.com` is `*.example.com`, for which label a
//! request has there does not matter. A request's host is masked in the same way for each shape of mask
//! that there is (which labels of how many), and looked up: the cost depends on the shapes, of which
//! programs have one or two, and not on the number of hosts.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use super::hints;
use super::segment::check_name;
use crate::message::folded_host;

/// The host of a pattern.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct HostPattern {
    /// In the form that hosts are compared in, with a star for each wildcard. Empty for every host.
    pub(super) mask: Box<str>,
    /// Which labels have a name.
    pub(super) names: Vec<(usize, Arc<str>)>,
}

/// A label of a mask that stands for any.
pub(super) const ANY_LABEL: &str = "*";

impl HostPattern {
    /// Parses what stands before the path of a pattern; the error says what is wrong.
    pub(super) fn parse(host: &str) -> Result<HostPattern, Cow<'static, str>> {
        if let Some(why) = hints::host(host) {
            return Err(why.into());
        }
        if host.contains([' ', '\t']) {
            return Err("there is a space in the host".into());
        }
        if !host.contains(['{', '}']) {
            return Ok(HostPattern { mask: folded_host(host).into(), names: Vec::new() });
        }
        if host.contains("...}") {
            return Err("a wildcard of a host stands for one label, and has no dots".into());
        }
        let (mut labels, mut names) = (Vec::new(), Vec::new());
        for (at, label) in host.strip_suffix('.').unwrap_or(host).split('.').enumerate() {
            if !label.contains(['{', '}']) {
                labels.push(label.to_ascii_lowercase());
                continue;
            }
            names.push((at, label_name(label)?.into()));
            labels.push(ANY_LABEL.to_owned());
        }
        if labels.len() == names.len() {
            return Err("a host is not made of wildcards alone; is the '/' before it missing?".into());
        }
        Ok(HostPattern { mask: labels.join(".").into(), names })
    }

    /// Gives every wildcard what it stands for in a host that this one matches.
    pub(super) fn capture(&self, host: &str, mut found: impl FnMut(&Arc<str>, String)) {
        let host = folded_host(host);
        for (at, name) in &self.names {
            found(name, host.split('.').nth(*at).unwrap_or_default().to_owned());
        }
    }
}

fn label_name(label: &str) -> Result<&str, Cow<'static, str>> {
    let inner = label.strip_prefix('{').and_then(|label| label.strip_suffix('}'));
    let Some(name) = inner.filter(|inner| !inner.contains(['{', '}'])) else {
        return Err(format!("{label:?}: a wildcard is all of a host's label").into());
    };
    check_name(name)?;
    Ok(name)
}

/// Something for each host, with wildcards or without.
pub(super) struct HostMap<Item> {
    named: HashMap<Box<str>, Item>,
    /// Those with the fewest wildcards first: a host that is a part of another one has fewer.
    masked: Vec<(HostShape, HashMap<Box<str>, Item>)>,
}

/// How many labels a mask has, and which of them are wildcards.
#[derive(Clone, Debug, PartialEq, Eq)]
struct HostShape {
    label_count: usize,
    any: Vec<usize>,
}

impl<Item> Default for HostMap<Item> {
    fn default() -> HostMap<Item> {
        HostMap { named: HashMap::new(), masked: Vec::new() }
    }
}

impl<Item: Default> HostMap<Item> {
    pub(super) fn get_or_default(&mut self, mask: &str) -> &mut Item {
        let Some(shape) = HostShape::of(mask) else { return self.named.entry(mask.into()).or_default() };
        let at = match self.masked.iter().position(|(other, _)| *other == shape) {
            Some(at) => at,
            None => {
                let at = self.masked.partition_point(|(other, _)| other.any.len() <= shape.any.len());
                self.masked.insert(at, (shape, HashMap::new()));
                at
            }
        };
        self.masked[at].1.entry(mask.into()).or_default()
    }

    /// All that match a request's host, the narrower before the wider.
    pub(super) fn matching(&self, host: &str) -> impl Iterator<Item = &Item> {
        let host = folded_host(host);
        let named = self.named.get(&*host);
        let masked = self.masked.iter().filter_map(move |(shape, items)| items.get(&*shape.mask(&host)?));
        named.into_iter().chain(masked)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.named.is_empty() && self.masked.is_empty()
    }
}

impl HostShape {
    /// `None` for a host without wildcards.
    fn of(mask: &str) -> Option<HostShape> {
        let any: Vec<usize> =
            mask.split('.').enumerate().filter(|(_, label)| *label == ANY_LABEL).map(|(at, _)| at).collect();
        (!any.is_empty()).then(|| HostShape { label_count: mask.split('.').count(), any })
    }

    /// A request's host as a mask of this shape; `None` where it cannot be one.
    fn mask(&self, host: &str) -> Option<String> {
        if host.split('.').count() != self.label_count {
            return None;
        }
        let mut masked = String::with_capacity(host.len());
        for (at, label) in host.split('.').enumerate() {
            if at > 0 {
                masked.push('.');
            }
            match self.any.contains(&at) {
                // A wildcard stands for something.
                true if label.is_empty() => return None,
                true => masked.push_str(ANY_LABEL),
                false => masked.push_str(label),
            }
        }
        Some(masked)
    }
}

/// Whether a host of a pattern has wildcards.
pub(super) fn is_masked(mask: &str) -> bool {
    mask.split('.').any(|label| label == ANY_LABEL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_masked_where_it_has_wildcards() {
        for (host, mask, names) in [
            ("", "", ""),
            ("A.Test.", "a.test", ""),
            ("[::1]", "::1", ""),
            ("{Sub}.Example.com", "*.example.com", "0 Sub"),
            ("{a}.b.{c}.test.", "*.b.*.test", "0 a, 2 c"),
            ("x.{y}", "x.*", "1 y"),
            ("{x}.test:8080", "*.test:8080", "0 x"),
        ] {
            let parsed = HostPattern::parse(host).unwrap();
            let found: Vec<String> = parsed.names.iter().map(|(at, name)| format!("{at} {name}")).collect();
            assert_eq!((&*parsed.mask, found.join(", ").as_str()), (mask, names), "{host}");
        }
    }

    #[test]
    fn a_wrong_host_is_refused() {
        for (host, why) in [
            ("{host}", "is the '/' before it missing?"),
            ("{a}.{b}", "wildcards alone"),
            ("a{b}.test", "all of a host's label"),
            ("{a.test", "all of a host's label"),
            ("{a...}.test", "one label"),
            ("{1}.test", "no name"),
            ("*.test", "{name} for one label"),
            ("a b.test", "a space in the host"),
        ] {
            let error = HostPattern::parse(host).unwrap_err();
            assert!(error.contains(why), "{host}: {error}");
        }
    }

    #[test]
    fn hosts_are_found_the_narrower_before_the_wider() {
        let mut map = HostMap::<Vec<&str>>::default();
        for mask in ["*.*.test", "a.b.test", "*.b.test", "a.*.test", "*.test"] {
            map.get_or_default(mask).push(mask);
        }
        for (host, expected) in [
            ("a.b.test", "a.b.test *.b.test a.*.test *.*.test"),
            ("A.c.Test.", "a.*.test *.*.test"),
            ("x.b.test", "*.b.test *.*.test"),
            ("x.test", "*.test"),
            (".test", ""),
            ("test", ""),
            ("a.b.c.test", ""),
            ("*.b.test", "*.b.test *.*.test"),
        ] {
            let found: Vec<&str> = map.matching(host).flatten().copied().collect();
            assert_eq!(found.join(" "), expected, "{host}");
        }
    }

    #[test]
    fn the_labels_of_a_host_are_captured_in_lower_case() {
        let mut found = Vec::new();
        let host = HostPattern::parse("{a}.b.{C}.test").unwrap();
        host.capture("X.b.Y.test.", |name, value| found.push(format!("{name}={value}")));
        assert_eq!(found, ["a=x", "C=y"]);
    }
}
