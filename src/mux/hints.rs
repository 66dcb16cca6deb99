//! Patterns that would be taken and never match, or match something else than was meant: each is refused
//! with what to write. They are the spellings of other routers, and slips.

use std::borrow::Cow;

/// The methods of RFC 9110 §9.1 and RFC 5789.
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE"];

/// What was meant by a method that is a token, and none that a request has.
pub(super) fn method(method: &str) -> Option<String> {
    if let Some(meant) = METHODS.iter().find(|name| name.eq_ignore_ascii_case(method) && **name != method) {
        return Some(format!("methods are case-sensitive (RFC 9110 §9.1); write {meant}"));
    }
    if matches!(method, "*" | "ANY" | "ALL") {
        return Some("a pattern without a method is for every one; leave it out".into());
    }
    method.contains('|').then(|| "a pattern has one method; register the handler once for each".into())
}

/// What was meant by a host that looks like something else.
pub(super) fn host(host: &str) -> Option<String> {
    if let Some(method) = METHODS.iter().find(|method| **method == host) {
        // Hosts are written in lower case where a host is meant: they fold case.
        return Some(format!("a space is missing after {method}"));
    }
    if let Some(scheme) = host.strip_suffix(':').filter(|scheme| is_identifier(scheme)) {
        return Some(format!("a pattern has no scheme; leave {scheme}:// out"));
    }
    if host.contains('*') {
        return Some("'*' is no wildcard; write {name} for one label of a host".into());
    }
    None
}

/// Checks a segment for the wildcards of other routers, and for what no path has.
pub(super) fn check_segment(segment: &str) -> Result<(), Cow<'static, str>> {
    let why = match segment.as_bytes() {
        [b'*'] | [b'*', b'*'] => {
            "'*' is no wildcard; write {name} for one segment, {name...} for the rest of the path, \
                                  or %2A for a star"
                .into()
        }
        [b'*', ..] => {
            let name = segment.trim_start_matches('*');
            format!("{segment:?} is no wildcard; write {{{name}...}}, or %2A for a star")
        }
        [b':', ..] if !segment.contains('{') => {
            let name = segment.get(1..).unwrap_or_default();
            format!("{segment:?} is no wildcard; write {{{name}}}, or %3A{name} for a colon")
        }
        [b'<', .., b'>'] => {
            let inner = segment.trim_matches(['<', '>']);
            let name = inner.rsplit(':').next().unwrap_or(inner);
            match inner.starts_with("path:") {
                true => format!("{segment:?} is no wildcard; write {{{name}...}}"),
                false => format!("{segment:?} is no wildcard; write {{{name}}}, or %3C and %3E for what is around it"),
            }
        }
        _ => return check_characters(segment),
    };
    Err(why.into())
}

/// In a target these end the path.
fn check_characters(segment: &str) -> Result<(), Cow<'static, str>> {
    // `{id?}` is judged as a name.
    let text = segment.split('{').next().unwrap_or(segment);
    match text.find(['?', '#']).and_then(|at| text.get(at..)) {
        Some(query) if query.starts_with('?') => {
            Err("a pattern has no query; look at it in the handler, or write %3F for a question mark".into())
        }
        Some(_) => Err("a pattern has no fragment; write %23 for a '#'".into()),
        None if segment.ends_with([' ', '\t']) => {
            Err("there is a space at its end; write %20 where it is meant".into())
        }
        None => Ok(()),
    }
}

/// What was meant by a wildcard whose name is none.
pub(super) fn name(name: &str) -> Option<Cow<'static, str>> {
    if let Some(rest) = name.strip_prefix('*').map(|name| name.trim_start_matches('*')).or(name.strip_suffix('*')) {
        return is_identifier(rest).then(|| format!("write {{{rest}...}} for the rest of the path").into());
    }
    if let Some(single) = name.strip_suffix('?') {
        return is_identifier(single)
            .then(|| format!("a wildcard is never optional; register the pattern without {{{single}}} too").into());
    }
    let (single, _) = name.split_once(':')?;
    is_identifier(single).then(|| {
        format!("a wildcard has no expression of its own; write {{{single}}} and check it in the handler").into()
    })
}

/// Whether a wildcard may have this name.
pub(super) fn is_identifier(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(|first| first.is_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_alphanumeric() || letter == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_that_is_meant_otherwise_says_how_it_is_written() {
        for (text, hint) in [
            ("get", "write GET"),
            ("Options", "write OPTIONS"),
            ("*", "leave it out"),
            ("ANY", "leave it out"),
            ("GET|POST", "once for each"),
        ] {
            assert!(method(text).is_some_and(|why| why.contains(hint)), "{text}");
        }
        for text in ["GET", "QUERY", "brew", "Any", "PROPFIND"] {
            assert_eq!(method(text), None, "{text}");
        }
    }

    #[test]
    fn a_host_that_is_none_says_what_is_missing() {
        for (text, hint) in [
            ("POST", "a space is missing after POST"),
            ("https:", "leave https:// out"),
            ("*.example.com", "{name} for one label"),
        ] {
            assert!(host(text).is_some_and(|why| why.contains(hint)), "{text}");
        }
        for text in ["", "a.test", "trace", "a.test:443", "[::1]", "post.test", "GET.test"] {
            assert_eq!(host(text), None, "{text}");
        }
    }

    #[test]
    fn the_wildcards_of_other_routers_say_how_they_are_written_here() {
        for (text, hint) in [
            ("*", "{name...} for the rest"),
            ("**", "{name...} for the rest"),
            ("*path", "write {path...}"),
            (":id", "write {id}"),
            ("<id>", "write {id}"),
            ("<int:id>", "write {id}"),
            ("<path:rest>", "write {rest...}"),
            ("a?b=1", "no query"),
            ("a#b", "no fragment"),
            ("a ", "a space at its end"),
        ] {
            assert!(check_segment(text).is_err_and(|why| why.contains(hint)), "{text}");
        }
        for text in ["", "a", "a*", "a:b", "%3Aid", "<", "<a", "a>", "{id}", "{id}:cancel", "v{id}", "a b", ":{id}"] {
            assert_eq!(check_segment(text), Ok(()), "{text}");
        }
        for (text, hint) in [
            ("*path", "write {path...}"),
            ("path*", "write {path...}"),
            ("**path", "write {path...}"),
            ("id?", "without {id} too"),
            ("id:[0-9]+", "write {id} and check"),
        ] {
            assert!(name(text).is_some_and(|why| why.contains(hint)), "{text}");
        }
        assert_eq!(name("a-b"), None);
    }
}
