//! URLs as they are typed and shown, and the names of files that they end in.

use nethttp::{IntoUrl as _, Result, Uri};

/// What was typed, as a URL.
pub(crate) fn url(text: &str) -> Result<Uri> {
    if text.contains("://") { text.into_url() } else { format!("http://{text}").into_url() }
}

/// The URL for people: without user and password.
pub(crate) fn shown(url: &Uri) -> String {
    let authority = url.authority().map_or("", |authority| authority.as_str());
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}://{host}{}{query}", url.scheme_str().unwrap_or_default(), url.path())
}

/// The last segment of the path, decoded, if it can be the name of a file; never a path. It is the
/// URL that was typed that counts: a redirect chooses no names.
pub(crate) fn remote_name(url: &Uri) -> Option<String> {
    let segment = url.path().rsplit('/').next().unwrap_or_default();
    let name = decoded(segment)?;
    let is_forbidden = |c: char| c.is_control() || "/\\".contains(c) || (cfg!(windows) && ":*?\"<>|".contains(c));
    let is_name = !name.is_empty() && name != "." && name != ".." && name.len() <= 240;
    (is_name && !name.contains(is_forbidden)).then_some(name)
}

/// Percent-decoded; `None` where that is no text.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let digit = |at: usize| behind.get(at).and_then(|&digit| (digit as char).to_digit(16));
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(u8::try_from(high * 16 + low).ok()?);
                rest = behind.get(2..)?;
            }
            _ => {
                bytes.push(first);
                rest = behind;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_end_of_the_path_and_never_a_path() {
        let name = |path: &str| remote_name(&url(&format!("a.test/{path}")).unwrap());
        assert_eq!(name("x/file.iso?mirror=/1").as_deref(), Some("file.iso"));
        assert_eq!(name("two%20words%C3%A9").as_deref(), Some("two words\u{e9}"));
        assert_eq!(name("100%25%zz%4").as_deref(), Some("100%%zz%4"));
        for none in [
            "",
            "x/",
            "..%2fetc",
            "%2e%2e",
            "%2e",
            "a%5cb",
            "%2fetc%2fpasswd",
            "a%00b",
            "a%0ab",
            "%ff",
            &"a".repeat(241),
        ] {
            assert_eq!(name(none), None, "{none}");
        }
    }

    #[test]
    fn a_url_without_a_scheme_is_http_and_is_shown_without_its_password() {
        assert_eq!(url("localhost:8000/x").unwrap(), "http://localhost:8000/x");
        assert!(url("ftp://a.test/").is_err() && url("").is_err());
        assert_eq!(shown(&url("https://me:secret@a.test/x?y").unwrap()), "https://a.test/x?y");
    }
}
