//! What stands before the patterns of a group or of a mounted mux, and how a pattern goes behind it.

use std::panic::Location;

use super::pattern::{Pattern, split_method};
use super::scope::{Step, Steps};
use crate::error::{Error, ErrorKind, Result};

/// `[HOST][/PATH]`, without a slash at its end. Empty, it changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Prefix {
    host: String,
    path: String,
}

impl Prefix {
    /// Parses a prefix that is given at `location`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`]: it has a method, no slash, or a wildcard for more than a segment.
    pub(super) fn parse(text: &str, location: &'static Location<'static>) -> Result<Prefix> {
        let refuse = |why: &str| Err(Error::new(ErrorKind::Invalid, format!("prefix {text:?}: {why}")));
        if text.contains([' ', '\t']) {
            return refuse("it has no method; that is for the patterns behind it");
        }
        if text.is_empty() {
            return Ok(Prefix::default());
        }
        let Some(slash) = text.find('/') else {
            return refuse("there is no '/'; write \"/api\", or \"a.test/\" for a host");
        };
        let (host, path) = text.split_at(slash);
        let path = path.strip_suffix('/').unwrap_or(path);
        if path.ends_with("...}") || path.ends_with("{$}") {
            return refuse("other segments follow, so that it has no {name...} and no {$}");
        }
        let prefix = Prefix { host: host.to_owned(), path: path.to_owned() };
        // With a method, so that a path that no request has is found out here.
        Pattern::parse(&format!("GET {}{}/", prefix.host, prefix.path), location)?;
        Ok(prefix)
    }

    /// The text of a pattern behind this prefix.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`]: both have a host, or the pattern has neither a path nor is it a method.
    pub(super) fn before(&self, pattern: &str) -> Result<String> {
        if *self == Prefix::default() {
            return Ok(pattern.to_owned());
        }
        let refuse = |why: &str| {
            let prefix = format!("{}{}", self.host, self.path);
            Err(Error::new(ErrorKind::Invalid, format!("pattern {pattern:?} behind {prefix:?}: {why}")))
        };
        // A method alone, or nothing, stands for the prefix itself.
        let (method, rest) = match split_method(pattern)? {
            (None, method) if method.bytes().all(|b| b.is_ascii_uppercase()) => (Some(method), ""),
            parts => parts,
        };
        let Some(slash) = rest.find('/').or((rest.is_empty()).then_some(0)) else {
            return refuse("there is no path; a path starts with '/'");
        };
        let (host, path) = rest.split_at(slash);
        if !host.is_empty() && !self.host.is_empty() {
            return refuse("both have a host");
        }
        let method = method.filter(|method| !method.is_empty()).map(|method| format!("{method} ")).unwrap_or_default();
        Ok(format!("{method}{}{host}{}{path}", self.host, self.path))
    }

    fn join(&self, inner: &Prefix) -> Result<Prefix> {
        if !self.host.is_empty() && !inner.host.is_empty() {
            let (outer, inner) = (&self.host, &inner.host);
            let why = format!("a prefix of the host {inner:?} is behind one of the host {outer:?}");
            return Err(Error::new(ErrorKind::Invalid, why));
        }
        Ok(Prefix { host: format!("{}{}", self.host, inner.host), path: format!("{}{}", self.path, inner.path) })
    }

    /// How many segments its path has.
    pub(super) fn segment_count(&self) -> usize {
        self.path.matches('/').count()
    }

    /// The text of the pattern of all paths below it; `None` where that is every path.
    pub(super) fn area(&self) -> Option<String> {
        let is_all = *self == Prefix::default();
        (!is_all).then(|| format!("{}{}/", self.host, self.path))
    }
}

/// Where in a mux patterns are registered: what stands before them, and the steps that lead to their handlers.
#[derive(Clone, Default)]
pub(super) struct MountPoint {
    pub(super) prefix: Prefix,
    steps: Vec<Step>,
    /// How many segments of the prefix are still in the path behind the last step.
    left_count: usize,
}

impl MountPoint {
    /// A mount point within this one, in a scope of its own, with the path as it is.
    pub(super) fn within(&self, prefix: &Prefix, step: Step) -> Result<MountPoint> {
        let mut steps = self.steps.clone();
        steps.push(step);
        let left_count = self.left_count + prefix.segment_count();
        Ok(MountPoint { prefix: self.prefix.join(prefix)?, steps, left_count })
    }

    /// A mount point within this one, with nothing of its prefix left in the path.
    pub(super) fn below(&self, prefix: &Prefix, step: Option<Step>) -> Result<MountPoint> {
        let mut steps = self.steps.clone();
        steps.push(Step::Below(self.left_count + prefix.segment_count()));
        steps.extend(step);
        Ok(MountPoint { prefix: self.prefix.join(prefix)?, steps, left_count: 0 })
    }

    /// A mount point of a mux that is itself at this one.
    pub(super) fn join(&self, inner: &MountPoint) -> Result<MountPoint> {
        let is_below = inner.steps.iter().any(|step| matches!(step, Step::Below(_)));
        Ok(MountPoint {
            prefix: self.prefix.join(&inner.prefix)?,
            steps: self.steps_to(&inner.steps).to_vec(),
            left_count: if is_below { inner.left_count } else { self.left_count + inner.left_count },
        })
    }

    /// All steps to what these lead to within a mux at this mount point.
    pub(super) fn steps_to(&self, inner: &[Step]) -> Steps {
        // The first mount among the inner steps takes off what is left of this prefix too.
        let mut left = Some(self.left_count);
        let inner = inner.iter().map(|step| match step {
            Step::Below(count) => Step::Below(count + left.take().unwrap_or_default()),
            into @ Step::Into(_) => into.clone(),
        });
        self.steps.iter().cloned().chain(inner).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        Prefix::parse(text, Location::caller()).unwrap()
    }

    #[test]
    fn a_pattern_goes_behind_a_prefix_with_its_method_first() {
        for (before, pattern, whole) in [
            ("", "GET /a", "GET /a"),
            ("", "anything", "anything"),
            ("/", "GET /a", "GET /a"),
            ("/api", "GET /a", "GET /api/a"),
            ("/api/", "/a/{$}", "/api/a/{$}"),
            ("/api", "/", "/api/"),
            ("/api", "a.test/x", "a.test/api/x"),
            ("/api", "GET \t a.test/x", "GET a.test/api/x"),
            ("a.test/", "POST /x", "POST a.test/x"),
            ("a.test/v1", "/", "a.test/v1/"),
            ("/users/{user}", "GET /posts/{post...}", "GET /users/{user}/posts/{post...}"),
            ("/api", "GET", "GET /api"),
            ("/api", "", "/api"),
        ] {
            assert_eq!(prefix(before).before(pattern).unwrap(), whole, "{before} {pattern}");
        }
    }

    #[test]
    fn a_pattern_that_fits_behind_no_prefix_is_refused() {
        for (before, pattern, why) in [
            ("a.test/", "b.test/x", "both have a host"),
            ("/api", "users", "a path starts with '/'"),
            ("/api", "GET users", "a path starts with '/'"),
        ] {
            let error = prefix(before).before(pattern).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.to_string().contains(why), "{error}");
        }
    }

    #[test]
    fn a_wrong_prefix_is_refused() {
        for (text, why) in [
            ("api", "there is no '/'"),
            ("GET /api", "it has no method"),
            ("/files/{path...}", "no {name...}"),
            ("/files/{$}", "no {$}"),
            ("/a/../b", "paths are cleaned first"),
            ("/a//b", "paths are cleaned first"),
            ("/:id", "no wildcard"),
            ("/{a}/{a}", "there twice"),
        ] {
            let error = Prefix::parse(text, Location::caller()).expect_err(text);
            assert!(error.to_string().contains(why), "{error}");
        }
    }

    #[test]
    fn the_first_mount_takes_off_all_that_is_left_of_the_prefixes_before_it() {
        let counts = |mount_point: &MountPoint| -> Vec<usize> {
            mount_point.steps.iter().map(|step| if let Step::Below(count) = step { *count } else { 0 }).collect()
        };
        let scope = || Step::Into(Default::default());
        let group = MountPoint::default().within(&prefix("/v1"), scope()).unwrap();
        assert_eq!((counts(&group), group.left_count), (vec![0], 1));
        let mounted = group.below(&prefix("/files/all"), Some(scope())).unwrap();
        assert_eq!((counts(&mounted), mounted.left_count), (vec![0, 3, 0], 0));
        // The same mounted in a mux that is merged into the group, and one that is mounted in that one.
        let inner = MountPoint::default().below(&prefix("/x"), None).unwrap();
        assert_eq!(counts(&group.join(&inner).unwrap()), [0, 2]);
        assert_eq!(counts(&mounted.join(&inner).unwrap()), [0, 3, 0, 1]);
        let twice = inner.below(&prefix("/y/z"), None).unwrap();
        assert_eq!(counts(&group.join(&twice).unwrap()), [0, 2, 2], "the second one takes off its own");
    }
}
