//! References resolved as RFC 3986 §5.2 writes it down.

/// A reference or URL in its parts (RFC 3986, appendix B).
#[derive(Clone, Copy)]
struct Parts<'a> {
    scheme: Option<&'a str>,
    authority: Option<&'a str>,
    path: &'a str,
    query: Option<&'a str>,
}

fn parts(text: &str) -> Parts<'_> {
    let text = text.split('#').next().unwrap_or(text);
    let (text, query) = text.split_once('?').map_or((text, None), |(text, query)| (text, Some(query)));
    let scheme_ends = text.find(':').filter(|at| is_scheme(&text[..*at]));
    let (scheme, text) = scheme_ends.map_or((None, text), |at| (Some(&text[..at]), &text[at + 1..]));
    let Some(rest) = text.strip_prefix("//") else { return Parts { scheme, authority: None, path: text, query } };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    Parts { scheme, authority: Some(authority), path, query }
}

fn is_scheme(text: &str) -> bool {
    let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b"+-.".contains(&b);
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.bytes().all(is_allowed)
}

/// Where the reference leads. `None` where more than RFC 3986 has a say: letters that a URL cannot
/// have, escapes, and forms that browsers read otherwise than it does.
pub fn resolved(base: &str, reference: &[u8]) -> Option<String> {
    let is_plain = |b: &u8| b.is_ascii_alphanumeric() || b"-._~!$&()*+,;=:@/?#".contains(b);
    let reference = std::str::from_utf8(reference).ok().filter(|text| text.bytes().all(|b| is_plain(&b)))?;
    let (base, reference) = (parts(base), parts(reference));
    // `http:x` and `http:///x` have a host for browsers, and `://` in a path has none for anybody.
    if reference.scheme.is_some() && reference.authority.is_none_or(str::is_empty) || reference.authority == Some("") {
        return None;
    }
    let (authority, path, query) = match (reference.authority, reference.path) {
        (Some(authority), path) => (authority, without_dots(path), reference.query),
        (None, "") => (base.authority?, base.path.to_owned(), reference.query.or(base.query)),
        (None, path) if path.starts_with('/') => (base.authority?, without_dots(path), reference.query),
        (None, path) => {
            let folder = base.path.rfind('/').map_or("/", |at| &base.path[..=at]);
            (base.authority?, without_dots(&format!("{folder}{path}")), reference.query)
        }
    };
    let scheme = reference.scheme.or(base.scheme)?;
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    Some(format!("{scheme}://{authority}{path}{query}"))
}

/// RFC 3986 §5.2.4.
fn without_dots(path: &str) -> String {
    let (mut left, mut segments) = (path.split('/').skip(1).peekable(), Vec::new());
    while let Some(segment) = left.next() {
        let is_last = left.peek().is_none();
        match segment {
            ".." => _ = segments.pop(),
            "." => {}
            _ => segments.push(segment),
        }
        if is_last && matches!(segment, "." | "..") {
            segments.push("");
        }
    }
    format!("/{}", segments.join("/"))
}
