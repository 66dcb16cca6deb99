//! URLs as they are typed and shown, and the names of files: those that URLs end in, and those that
//! servers propose.

use nethttp::client::IntoUrl as _;
use nethttp::{Header, Result, Uri};

/// File systems allow 255, and `.part.json` comes after it.
const MAX_NAME_BYTES: usize = 240;

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
    let is_name = !name.is_empty() && name != "." && name != ".." && name.len() <= MAX_NAME_BYTES;
    (is_name && !name.contains(is_forbidden)).then_some(name)
}

/// The name that a server proposes in `Content-Disposition` (RFC 6266), made harmless: the last segment
/// of what may look like a path, without what steers a terminal, hides a file or makes an option of it.
/// `None` where nothing is left of it, and for names that would be a device or a part of ours.
pub(crate) fn announced_name(header: &Header) -> Option<String> {
    let value = header.get("Content-Disposition")?;
    let (mut plain, mut extended) = (None, None);
    for (name, value) in parameters(value) {
        match name.to_ascii_lowercase().as_str() {
            "filename*" => extended = extended_value(&value),
            "filename" => plain = Some(value),
            _ => {}
        }
    }
    // The one with an encoding goes first (§4.3).
    [extended, plain].into_iter().flatten().find_map(|name| harmless(&name))
}

fn harmless(text: &str) -> Option<String> {
    let last = text.trim().rsplit(['/', '\\']).next().unwrap_or_default();
    let is_dropped = |c: char| c.is_control() || is_invisible(c) || (cfg!(windows) && ":*?\"<>|".contains(c));
    let name: String = last.chars().filter(|&c| !is_dropped(c)).collect();
    // Windows drops dots and blanks at the end, and then it is another name.
    let name = name.trim_start_matches(|c: char| c == '.' || c == '-' || c.is_whitespace());
    let name = name.trim_end_matches(|c: char| c == '.' || c.is_whitespace());
    let is_ours = name.ends_with(".part") || name.ends_with(".part.json");
    let is_name = !name.is_empty() && name.len() <= MAX_NAME_BYTES && !is_device(name) && !is_ours;
    is_name.then(|| name.to_owned())
}

/// What changes the direction of text, or does not show: `photo\u{202e}gpj.exe`.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Whether Windows takes it for a device, whatever comes after the first dot.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    let is_numbered = |kind: &str| {
        let number = stem.strip_prefix(kind).and_then(|rest| rest.parse::<u8>().ok());
        number.is_some_and(|number| (1..=9).contains(&number))
    };
    matches!(&*stem, "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$") || is_numbered("COM") || is_numbered("LPT")
}

/// Name and value of each parameter after the first semicolon, quotes taken away (RFC 9110 §5.6.6).
fn parameters(value: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let Some((_, mut rest)) = value.split_once(';') else { return found };
    while let Some((name, behind)) = rest.split_once('=') {
        let name = name.trim().trim_start_matches(';').trim();
        let behind = behind.trim_start();
        let (value, next) = match behind.strip_prefix('"') {
            Some(quoted) => unquoted(quoted),
            None => {
                let (value, next) = behind.split_once(';').unwrap_or((behind, ""));
                (value.trim().to_owned(), next)
            }
        };
        found.push((name.to_owned(), value));
        rest = next;
    }
    found
}

/// What stands before the closing quote, and what after it.
fn unquoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, text.get(at + 1..).unwrap_or_default()),
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            _ => value.push(c),
        }
    }
    (value, "")
}

/// `UTF-8'LANGUAGE'PERCENT-ENCODED` (RFC 8187); other encodings are out of use.
fn extended_value(text: &str) -> Option<String> {
    let mut parts = text.splitn(3, '\'');
    let (charset, _, value) = (parts.next()?, parts.next()?, parts.next()?);
    if charset.eq_ignore_ascii_case("UTF-8") { decoded(value) } else { None }
}

/// Percent-decoded; `None` where that is not text.
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

    #[test]
    fn a_name_that_a_server_proposes_is_made_harmless() {
        let name = |value: &str| {
            let mut header = Header::new();
            header.set("Content-Disposition", value);
            announced_name(&header)
        };
        for (value, expected) in [
            ("attachment; filename=a.txt", "a.txt"),
            ("attachment; filename=\"two words.txt\"; size=1", "two words.txt"),
            ("inline;FileName = \"a\\\"b;c.txt\" ", "a\"b;c.txt"),
            ("attachment; filename=\"plain.txt\"; filename*=UTF-8'en'%e2%82%ac.txt", "\u{20ac}.txt"),
            ("attachment; filename*=iso-8859-1''%a3.txt; filename=plain.txt", "plain.txt"),
            ("attachment; filename=\"../../etc/passwd\"", "passwd"),
            ("attachment; filename=\"C:\\\\x\\\\y.txt\"", "y.txt"),
            ("attachment; filename*=UTF-8''%2e%2e%2f.bashrc", "bashrc"),
            ("attachment; filename=\"--rf .x\"", "rf .x"),
            ("attachment; filename=\"photo\u{202e}gpj.exe. .\"", "photogpj.exe"),
            ("attachment; filename=\"a%2fb\"", "a%2fb"),
            ("attachment; filename=\"com10.txt\"", "com10.txt"),
        ] {
            assert_eq!(name(value).as_deref(), Some(expected), "{value}");
        }
        for none in [
            "attachment",
            "filename=a.txt",
            "attachment; filename=\"\"",
            "attachment; filename=\"..\"",
            "attachment; filename=\"dir/\"",
            "attachment; filename=\"nul.txt\"",
            "attachment; filename=COM1",
            "attachment; filename=\"x.part.json\"",
            "attachment; filename*=UTF-8''%ff",
        ] {
            assert_eq!(name(none), None, "{none}");
        }
        assert_eq!(name(&format!("attachment; filename={}", "a".repeat(241))), None);
    }
}
