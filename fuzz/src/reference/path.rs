//! Which names a request's path has, and which of them a file may have on every system.

use nethttp::fuzzing::FuzzNames;

/// The names from the root on; `None` where one of them is not served.
pub fn names(path: &str, rules: FuzzNames) -> Option<Vec<Vec<u8>>> {
    let segments = path.split('/').filter(|segment| !segment.is_empty());
    let names: Option<Vec<Vec<u8>>> = segments.map(|segment| decode(segment.as_bytes())).collect();
    names.filter(|names| names.iter().all(|name| is_served(name, rules)))
}

/// Every `%` begins an escape, or none is one.
fn decode(mut text: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::new();
    while let Some((first, rest)) = text.split_first() {
        if *first != b'%' {
            decoded.push(*first);
            text = rest;
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
        decoded.push(u8::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))?);
        text = &rest[2..];
    }
    Some(decoded)
}

fn is_served(name: &[u8], rules: FuzzNames) -> bool {
    let begins = |name: &[u8]| name != b"." && name != b".." && !name.is_empty() && (rules.hidden || name[0] != b'.');
    begins(name)
        && !name.contains(&b'/')
        && !name.contains(&0)
        && (!rules.portable
            || (begins(&on_apple(name)) && name.to_ascii_lowercase() != b"..namedfork" && on_windows(name)))
}

/// The name as HFS+ looks it up: without the letters at its front that do not count.
fn on_apple(name: &[u8]) -> Vec<u8> {
    let Some(first) = name.utf8_chunks().next() else { return name.to_vec() };
    let ignored = |c: &char| matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}');
    let len: usize = first.valid().chars().take_while(ignored).map(char::len_utf8).sum();
    name[len..].to_vec()
}

/// Whether Windows has a file of this name, and finds nothing else by it.
fn on_windows(name: &[u8]) -> bool {
    let Ok(name) = std::str::from_utf8(name) else { return false };
    let is_plain = !name.chars().any(|c| c < ' ' || "\\:<>\"|?*".contains(c)) && !name.ends_with(['.', ' ']);
    let parts: Vec<&str> = name.split('.').collect();
    let stem = parts[0].trim_end_matches([' ', '\t', '\n', '\r', '\x0c']).to_ascii_uppercase();
    let numbered = stem.strip_prefix("COM").or(stem.strip_prefix("LPT"));
    let is_port = numbered.is_some_and(|n| n.chars().count() == 1 && n.chars().all(|c| "0123456789¹²³".contains(c)));
    let is_device = is_port || ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"].contains(&stem.as_str());
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let is_short = parts[0].rsplit_once('~').is_some_and(|(_, n)| is_number(n))
        && parts[0].len() <= 8
        && parts.len() <= 2
        && parts.get(1).is_none_or(|extension| extension.len() <= 3);
    is_plain && !is_device && !is_short
}
