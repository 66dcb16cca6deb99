//! The `Cookie` field.

use nethttp::Cookie;

use super::fields::is_token;

pub fn pairs_of(cookies: &[Cookie]) -> Vec<(&[u8], &[u8])> {
    cookies.iter().map(|cookie| (cookie.name.as_bytes(), cookie.value.as_bytes())).collect()
}

/// The pairs of a `Cookie` field (RFC 6265bis §4.2.1, with spaces and commas in values).
pub fn pairs(line: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let is_allowed = |b: &u8| matches!(b, b' '..=b'~') && !b"\";\\".contains(b);
    let pairs: Vec<&[u8]> = line.split(|b| *b == b';').collect();
    let read = pairs.iter().map(|pair| {
        let pair = trimmed(pair);
        let (name, value) = pair.split_at_checked(pair.iter().position(|b| *b == b'=')?)?;
        let value = match &value[1..] {
            [b'"', inner @ .., b'"'] => inner,
            bare => bare,
        };
        (is_token(name) && value.iter().all(is_allowed)).then_some((name, value))
    });
    if pairs.len() <= 3_000 { read.collect() } else { None }
}

fn trimmed(text: &[u8]) -> &[u8] {
    let is_space = |b: &u8| b" \t\r\n".contains(b);
    let start = text.iter().position(|b| !is_space(b)).unwrap_or(text.len());
    let end = text.iter().rposition(|b| !is_space(b)).map_or(start, |last| last + 1);
    &text[start..end]
}
