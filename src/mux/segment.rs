//! A segment of a pattern: what is between two slashes.

use std::borrow::Cow;
use std::sync::Arc;

use super::hints;
use crate::message::unescape_segment;

/// What a pattern has between two slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    /// This name, unescaped: bytes, for an escape may stand for any.
    Literal(Box<[u8]>),
    /// `{name}.json`: any one segment with this text around something.
    Partial(Partial),
    /// `{name}`: any one segment.
    Single(Arc<str>),
    /// `{name...}` or, without a name, a slash at the end: whatever follows, or nothing.
    Rest(Option<Arc<str>>),
    /// `{$}`: the end of a path that ends in a slash.
    Slash,
}

/// A wildcard that is a part of a segment. What it stands for is never empty, so that `/.json` is no
/// resource without a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Partial {
    pub(super) before: Box<[u8]>,
    pub(super) name: Arc<str>,
    pub(super) after: Box<[u8]>,
}

impl Segment {
    /// Parses what is between two slashes; the error says what is wrong.
    pub(super) fn parse(segment: &str) -> Result<Segment, Cow<'static, str>> {
        hints::check_segment(segment)?;
        if !segment.contains(['{', '}']) {
            return Ok(Segment::Literal(unescape_segment(segment).into()));
        }
        let Some((before, inner, after)) = split_wildcard(segment) else { return Err(why_no_wildcard(segment).into()) };
        if before.is_empty() && after.is_empty() {
            return parse_wildcard(inner);
        }
        match parse_wildcard(inner)? {
            Segment::Single(name) => Ok(Segment::Partial(Partial {
                before: unescape_segment(before).into(),
                name,
                after: unescape_segment(after).into(),
            })),
            _ => Err(format!("{{{inner}}} must be all between two slashes").into()),
        }
    }

    /// The name of its wildcard.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Segment::Single(name) | Segment::Rest(Some(name)) | Segment::Partial(Partial { name, .. }) => Some(name),
            Segment::Literal(_) | Segment::Rest(None) | Segment::Slash => None,
        }
    }
}

impl Partial {
    /// What the wildcard stands for in a segment that is unescaped.
    pub(super) fn value<'a>(&self, segment: &'a [u8]) -> Option<&'a [u8]> {
        let value = segment.strip_prefix(&*self.before)?.strip_suffix(&*self.after)?;
        Some(value).filter(|value| !value.is_empty())
    }

    /// The segment in which the wildcard stands for this value.
    pub(super) fn with_value(&self, value: &[u8]) -> Vec<u8> {
        [&*self.before, value, &*self.after].concat()
    }

    /// How much text is around the wildcard. One that matches a part of what another one matches has more.
    pub(super) fn text_bytes(&self) -> usize {
        self.before.len() + self.after.len()
    }

    /// Whether the same segments match, whatever the wildcard's name.
    pub(super) fn matches_as(&self, other: &Partial) -> bool {
        self.before == other.before && self.after == other.after
    }
}

/// The text before the only wildcard of a segment, what is in its braces, and the text after it.
fn split_wildcard(segment: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = segment.split_once('{')?;
    let (inner, after) = rest.split_once('}')?;
    let is_alone = [before, inner, after].iter().all(|part| !part.contains(['{', '}']));
    is_alone.then_some((before, inner, after))
}

fn why_no_wildcard(segment: &str) -> String {
    if !is_balanced(segment) {
        return format!("unbalanced braces in {segment:?}; write {{name}}, or %7B and %7D for braces");
    }
    format!("{segment:?} has several wildcards in one segment, and a value could be split between them in several ways")
}

fn parse_wildcard(inner: &str) -> Result<Segment, Cow<'static, str>> {
    if inner == "$" {
        return Ok(Segment::Slash);
    }
    let (name, is_rest) = inner.strip_suffix("...").map_or((inner, false), |name| (name, true));
    if name.is_empty() {
        return Err("a wildcard needs a name".into());
    }
    check_name(name)?;
    Ok(if is_rest { Segment::Rest(Some(name.into())) } else { Segment::Single(name.into()) })
}

/// Checks the name of a wildcard.
pub(super) fn check_name(name: &str) -> Result<(), Cow<'static, str>> {
    if hints::is_identifier(name) {
        return Ok(());
    }
    Err(hints::name(name).unwrap_or_else(|| {
        format!("{name:?} is no name; letters, digits and '_' make one, a digit not at its start").into()
    }))
}

fn is_balanced(segment: &str) -> bool {
    let mut open = 0_usize;
    for byte in segment.bytes() {
        match byte {
            b'{' => open += 1,
            b'}' if open == 0 => return false,
            b'}' => open -= 1,
            _ => {}
        }
    }
    open == 0
}
