//! The pattern of a route, and its parser.

use std::borrow::Cow;
use std::panic::Location;
use std::sync::Arc;

use super::hints;
use super::host::HostPattern;
use super::path::{PathStep, clean_path, decode_text, step, text_of};
use super::segment::Segment;
use crate::error::{Error, ErrorKind, Result};
use crate::message::{is_token, unescape_segment, without_port};

/// `[METHOD ][HOST]/[PATH]`, parsed.
#[derive(Debug)]
pub(super) struct Pattern {
    /// As the user wrote it.
    pub(super) text: Arc<str>,
    /// `None` stands for every method.
    pub(super) method: Option<Box<str>>,
    /// In the form that hosts are compared in, with a star for each wildcard; empty stands for every host.
    pub(super) host: HostPattern,
    /// Never empty.
    pub(super) segments: Box<[Segment]>,
    /// How many wildcards have a name.
    names: usize,
    /// Where it was registered.
    pub(super) location: &'static Location<'static>,
}

/// A lookup recurses once for each segment, so the depth has to be bounded. No real path is this long.
const MAX_SEGMENT_COUNT: usize = 256;

impl Pattern {
    /// Parses the text of a pattern that is registered at `location`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`], with the place and the right spelling.
    pub(super) fn parse(text: &str, location: &'static Location<'static>) -> Result<Pattern> {
        if text.is_empty() {
            return Err(refuse(text, 0, "it is empty; \"/\" matches every path"));
        }
        let (method, rest) = split_method(text)?;
        let (host, path) = split_host(text, rest)?;
        // Paths are cleaned before they are matched, but for CONNECT.
        if !matches!(method, None | Some("CONNECT")) && clean_path(path) != path {
            let why = format!("no request has this path, for paths are cleaned first; write {:?}", clean_path(path));
            return Err(refuse(text, text.len() - path.len(), why));
        }
        let offset = text.len() - path.len() - host.len();
        let bare_host = without_port(host);
        let has_port = bare_host != host;
        let host = HostPattern::parse(host).map_err(|why| refuse(text, offset, why))?;
        // Hosts are compared without their port, but for CONNECT, whose target is host and port.
        if has_port && method != Some("CONNECT") {
            let why = format!("hosts are compared without their port, but for CONNECT; write {bare_host:?}");
            return Err(refuse(text, offset, why));
        }
        let segments = parse_path(text, path, &host)?;
        Ok(Pattern {
            text: text.into(),
            method: method.map(Box::from),
            names: host.names.len() + segments.iter().filter(|segment| segment.name().is_some()).count(),
            host,
            segments: segments.into(),
            location,
        })
    }

    /// How the path ends: a pattern that ends in a rest matches paths of any greater length.
    pub(super) fn ends_in_rest(&self) -> bool {
        matches!(self.segments.last(), Some(Segment::Rest(_)))
    }

    /// Gives every named wildcard what it stands for in a host and a path that this pattern matches.
    ///
    /// A value that is not UTF-8 once it is unescaped is empty. The request is answered all the same:
    /// the handler may not need the value, or may serve files, whose names are bytes.
    pub(super) fn capture<'h>(
        &self,
        host: impl FnOnce() -> &'h str,
        path: &str,
        mut found: impl FnMut(&Arc<str>, String),
    ) {
        if self.names == 0 {
            return;
        }
        if !self.host.names.is_empty() {
            self.host.capture(host(), &mut found);
        }
        let mut rest = path;
        for segment in &self.segments {
            match (segment, step(rest)) {
                (Segment::Rest(Some(name)), _) => found(name, decode_text(rest.strip_prefix('/').unwrap_or(rest))),
                (Segment::Single(name), PathStep::Segment(sent, further)) => {
                    found(name, decode_text(sent));
                    rest = further;
                }
                (Segment::Partial(partial), PathStep::Segment(sent, further)) => {
                    found(&partial.name, text_of(partial.value(&unescape_segment(sent)).unwrap_or_default()));
                    rest = further;
                }
                (Segment::Literal(_), PathStep::Segment(_, further)) => rest = further,
                _ => return,
            }
        }
    }
}

pub(super) fn split_method(text: &str) -> Result<(Option<&str>, &str)> {
    let Some((method, rest)) = text.split_once([' ', '\t']) else { return Ok((None, text)) };
    let rest = rest.trim_start_matches([' ', '\t']);
    if method.is_empty() {
        return Ok((None, rest));
    }
    if !is_token(method.as_bytes()) {
        return Err(refuse(text, 0, format!("{method:?} is no method (a space in a path is %20)")));
    }
    if let Some(why) = hints::method(method) {
        return Err(refuse(text, 0, why));
    }
    Ok((Some(method), rest))
}

fn split_host<'a>(text: &str, rest: &'a str) -> Result<(&'a str, &'a str)> {
    let offset = text.len() - rest.len();
    let Some((host, _)) = rest.split_once('/') else {
        return Err(refuse(text, offset, "there is no path; a path starts with '/'"));
    };
    Ok((host, rest.get(host.len()..).unwrap_or_default()))
}

fn parse_path(text: &str, path: &str, host: &HostPattern) -> Result<Vec<Segment>> {
    let mut segments = Vec::new();
    let mut rest = path;
    while let Some(after) = rest.strip_prefix('/') {
        let offset = text.len() - after.len();
        if segments.len() == MAX_SEGMENT_COUNT {
            return Err(refuse(text, offset, format!("the path has more than {MAX_SEGMENT_COUNT} segments")));
        }
        if after.is_empty() {
            segments.push(Segment::Rest(None));
            break;
        }
        let (segment, further) = after.find('/').map_or((after, ""), |at| after.split_at(at));
        let segment = Segment::parse(segment).map_err(|why| refuse(text, offset, why))?;
        check_place(&segment, (host, &segments), further).map_err(|why| refuse(text, offset, why))?;
        segments.push(segment);
        rest = further;
    }
    Ok(segments)
}

/// Checks a segment against those before it and what follows it.
fn check_place(
    segment: &Segment,
    (host, before): (&HostPattern, &[Segment]),
    further: &str,
) -> Result<(), Cow<'static, str>> {
    match segment {
        Segment::Slash if !further.is_empty() => return Err("{$} may only stand at the end".into()),
        Segment::Rest(Some(name)) if !further.is_empty() => {
            return Err(format!("{{{name}...}} may only stand at the end").into());
        }
        _ => {}
    }
    match segment.name() {
        Some(name)
            if before.iter().any(|other| other.name() == Some(name))
                || host.names.iter().any(|(_, other)| **other == *name) =>
        {
            Err(format!("the name {name:?} is there twice").into())
        }
        _ => Ok(()),
    }
}

fn refuse(text: &str, offset: usize, why: impl AsRef<str>) -> Error {
    Error::new(ErrorKind::Invalid, format!("pattern {text:?}, at offset {offset}: {}", why.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::super::segment::Partial;
    use super::*;

    fn parse(text: &str) -> Result<Pattern> {
        Pattern::parse(text, Location::caller())
    }

    fn literal(text: &str) -> Segment {
        Segment::Literal(text.as_bytes().into())
    }

    fn single(name: &str) -> Segment {
        Segment::Single(name.into())
    }

    fn partial(before: &str, name: &str, after: &str) -> Segment {
        Segment::Partial(Partial {
            before: before.as_bytes().into(),
            name: name.into(),
            after: after.as_bytes().into(),
        })
    }

    fn rest(name: &str) -> Segment {
        Segment::Rest(Some(name.into()).filter(|_| !name.is_empty()))
    }

    #[test]
    fn a_pattern_has_a_method_a_host_and_segments() {
        let cases: &[(&str, &str, &str, &[Segment])] = &[
            ("/", "", "", &[rest("")]),
            ("/a", "", "", &[literal("a")]),
            ("/a/", "", "", &[literal("a"), rest("")]),
            ("/{$}", "", "", &[Segment::Slash]),
            ("/a/{$}", "", "", &[literal("a"), Segment::Slash]),
            ("/a/{x}/b/{y...}", "", "", &[literal("a"), single("x"), literal("b"), rest("y")]),
            ("/{x}/", "", "", &[single("x"), rest("")]),
            ("/{größe}/{_1}", "", "", &[single("größe"), single("_1")]),
            ("a.test/b", "", "a.test", &[literal("b")]),
            ("CONNECT A.Test:8080/b", "CONNECT", "a.test:8080", &[literal("b")]),
            ("[::1]/b", "", "::1", &[literal("b")]),
            ("GET /", "GET", "", &[rest("")]),
            ("GET \t a.test/", "GET", "a.test", &[rest("")]),
            (" \t/a", "", "", &[literal("a")]),
            ("gets /a", "gets", "", &[literal("a")]),
            ("{x}.a.test/{y}", "", "*.a.test", &[single("y")]),
            ("/{x}.json", "", "", &[partial("", "x", ".json")]),
            ("/v{x}/{y}:go", "", "", &[partial("v", "x", ""), partial("", "y", ":go")]),
            ("/a%2F{x}%7D/", "", "", &[partial("a/", "x", "}"), rest("")]),
            ("B!REW /a", "B!REW", "", &[literal("a")]),
            ("/%61%62/%7Bx%7D", "", "", &[literal("ab"), literal("{x}")]),
            ("/a%2Fb/%2F", "", "", &[literal("a/b"), literal("/")]),
            ("/100%/%zz", "", "", &[literal("100%"), literal("%zz")]),
            ("/%2A/%3Aid/a*/a:b", "", "", &[literal("*"), literal(":id"), literal("a*"), literal("a:b")]),
            (" /a b", "", "", &[literal("a b")]),
            ("//a", "", "", &[literal(""), literal("a")]),
            ("CONNECT /a//", "CONNECT", "", &[literal("a"), literal(""), rest("")]),
        ];
        for (text, method, host, segments) in cases {
            let pattern = parse(text).unwrap();
            assert_eq!(pattern.method.as_deref().unwrap_or_default(), *method, "{text}");
            assert_eq!(&*pattern.host.mask, *host, "{text}");
            assert_eq!(&*pattern.segments, *segments, "{text}");
            assert_eq!(&*pattern.text, *text);
        }
    }

    #[test]
    fn a_wrong_pattern_is_refused_with_its_place_and_the_right_spelling() {
        let cases = [
            ("", 0, "empty"),
            ("A=B /", 0, "\"A=B\" is no method"),
            ("/a b", 0, "a space in a path is %20"),
            ("a.test", 0, "no path"),
            ("GET a.test", 4, "no path"),
            ("GET  ", 5, "no path"),
            ("GET POST /", 4, "space in the host"),
            ("{host}/", 0, "is the '/' before it missing?"),
            ("GET a{b}/", 4, "all of a host's label"),
            ("{a}.test/x/{a}", 11, "\"a\" is there twice"),
            ("get /x", 0, "write GET"),
            ("POST/x", 0, "a space is missing after POST"),
            ("https://a.test/", 0, "leave https:// out"),
            ("GET a.test:8080/", 4, "write \"a.test\""),
            ("[::1]:80/", 0, "write \"[::1]\""),
            ("{x}.a.test:80/", 0, "write \"{x}.a.test\""),
            ("* /x", 0, "leave it out"),
            ("/users/<id>", 7, "write {id}"),
            ("/files/*path", 7, "write {path...}"),
            ("/files/{*path}", 7, "write {path...}"),
            ("/a?b=1", 1, "no query"),
            ("GET /a ", 5, "a space at its end"),
            ("GET //", 4, "write \"/\""),
            ("POST a.test/a/../b", 11, "write \"/b\""),
            ("HEAD /a/./", 5, "write \"/a/\""),
            ("/{", 1, "unbalanced"),
            ("/}", 1, "unbalanced"),
            ("/a/x}", 3, "unbalanced"),
            ("/{x", 1, "unbalanced"),
            ("/{a}}", 1, "unbalanced"),
            ("/}{", 1, "unbalanced"),
            ("/{{a}}", 1, "several wildcards"),
            ("/a{x...}", 1, "all between two slashes"),
            ("/{$}b", 1, "all between two slashes"),
            ("/{a}{b}", 1, "several wildcards"),
            ("/{a}-{b}", 1, "several wildcards"),
            ("/{}", 1, "needs a name"),
            ("/{...}", 1, "needs a name"),
            ("/{1a}", 1, "\"1a\" is no name"),
            ("/{a-b}", 1, "\"a-b\" is no name"),
            ("/{a.}", 1, "\"a.\" is no name"),
            ("/{ a}", 0, "no method"),
            ("GET /{ a}", 5, "\" a\" is no name"),
            ("/{a....}", 1, "\"a.\" is no name"),
            ("/{$x}", 1, "\"$x\" is no name"),
            ("/a/{$}/", 3, "{$} may only stand at the end"),
            ("/{$}/a", 1, "{$} may only stand at the end"),
            ("/{a...}/", 1, "{a...} may only stand at the end"),
            ("/{a}/b/{a}", 7, "\"a\" is there twice"),
            ("/{a}/{a...}", 5, "\"a\" is there twice"),
            ("/a/*", 3, "write {name} for one segment, {name...} for the rest"),
            ("/*/a", 1, "%2A for a star"),
            ("/a/:id/b", 3, "write {id}, or %3Aid for a colon"),
        ];
        for (text, offset, why) in cases {
            let error = parse(text).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::Invalid, "{text}");
            let message = error.to_string();
            assert!(message.starts_with(&format!("pattern {text:?}, at offset {offset}: ")), "{message}");
            assert!(message.contains(why), "{message}: {why}");
        }
    }

    #[test]
    fn a_pattern_has_a_bounded_number_of_segments() {
        assert_eq!(parse(&"/a".repeat(MAX_SEGMENT_COUNT)).unwrap().segments.len(), MAX_SEGMENT_COUNT);
        assert!(parse(&"/a".repeat(MAX_SEGMENT_COUNT + 1)).unwrap_err().to_string().contains("256 segments"));
    }

    #[test]
    fn captured_values_are_unescaped_one_by_one() {
        let cases = [
            ("/a", "/a", ""),
            ("/{x}", "/a%2Fb", "x=a/b"),
            ("/{x}", "/%", "x=%"),
            ("/{x}", "/%zz%20", "x=%zz%20"),
            ("/{x}", "/%ff", "x="),
            ("/{x}", "/%fe", "x="),
            ("/{y...}", "/a/%ff", "y="),
            ("/{x}", "/caf%C3%A9+", "x=caf\u{e9}+"),
            ("/a/{x}/b/{y...}", "/a/1/b/2/%33", "x=1 y=2/3"),
            ("/a/{y...}", "/a/", "y="),
            ("/{y...}", "/", "y="),
            ("/{y...}", "/a//b/", "y=a//b/"),
            ("/{x}/", "/1/2/3", "x=1"),
            ("/{x}/{$}", "/1/", "x=1"),
            ("CONNECT /{x}/a", "//a", "x="),
            ("/{x}.json", "/a%2Eb.json", "x=a.b"),
            ("/{x}.json", "/a%2Ejson", "x=a"),
            ("/v{x}/{y}:go", "/v1/%ff:go", "x=1 y="),
            ("{h}.y.test/{x}", "/1", "h=x x=1"),
        ];
        for (text, path, expected) in cases {
            let mut values = Vec::new();
            parse(text).unwrap().capture(|| "X.Y.test.", path, |name, value| values.push(format!("{name}={value}")));
            assert_eq!(values.join(" "), expected, "{text} {path}");
        }
    }
}
