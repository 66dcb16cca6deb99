//! Lines, and the fields in them (RFC 9112 §2.2 and §5).

use super::Read;

/// Names and values in their order, the values without the blanks around them.
pub type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// What ends a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineEnd {
    Crlf,
    /// A line feed alone too.
    CrlfOrLf,
}

/// The line that the text starts with, without its end, and what follows.
pub fn line(text: &[u8], end: LineEnd) -> Read<(&[u8], &[u8])> {
    let Some(at) = text.iter().position(|b| *b == b'\n') else { return Read::Partial };
    let (line, rest) = (&text[..at], &text[at + 1..]);
    match (line.strip_suffix(b"\r"), end) {
        (Some(line), _) => Read::Whole((line, rest)),
        (None, LineEnd::CrlfOrLf) => Read::Whole((line, rest)),
        (None, LineEnd::Crlf) => Read::Refused,
    }
}

/// The lines up to the empty one, and what follows that.
pub fn lines(text: &[u8], end: LineEnd) -> Read<(Vec<&[u8]>, &[u8])> {
    let (mut lines, mut rest) = (Vec::new(), text);
    loop {
        match line(rest, end) {
            Read::Partial => return Read::Partial,
            Read::Refused => return Read::Refused,
            Read::Whole((b"", after)) => return Read::Whole((lines, after)),
            Read::Whole((one, after)) => {
                lines.push(one);
                rest = after;
            }
        }
    }
}

/// The fields of these lines; `None` when one of them has none.
pub fn fields<L: AsRef<[u8]>>(lines: &[L]) -> Option<Fields> {
    lines.iter().map(|line| field(line.as_ref())).collect()
}

fn field(line: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let colon = line.iter().position(|b| *b == b':')?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    (is_token(name) && !has_control(value)).then(|| (name.to_vec(), without_blanks(value).to_vec()))
}

/// The values of this name, in order.
pub fn values<'a>(fields: &'a Fields, name: &str) -> Vec<&'a [u8]> {
    fields.iter().filter(|field| is_name(&field.0, name)).map(|field| &field.1[..]).collect()
}

/// All members of the lists that the values of this name are (RFC 9110 §5.6.1), in lower case.
pub fn members(fields: &Fields, name: &str) -> Vec<Vec<u8>> {
    let all = values(fields, name).join(&b',');
    let members = all.split(|b| *b == b',').map(|member| member.trim_ascii().to_ascii_lowercase());
    members.filter(|member| !member.is_empty()).collect()
}

/// How many values a limit counts: one a line, and each further name in a `Trailer`.
pub fn count(fields: &Fields) -> usize {
    let commas = |value: &[u8]| value.iter().filter(|b| **b == b',').count();
    fields.len() + values(fields, "Trailer").into_iter().map(commas).sum::<usize>()
}

pub fn is_name(name: &[u8], other: &str) -> bool {
    name.eq_ignore_ascii_case(other.as_bytes())
}

/// RFC 9110 §5.6.2.
pub fn is_token(text: &[u8]) -> bool {
    let is_tchar = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
    !text.is_empty() && text.iter().all(is_tchar)
}

/// RFC 9110 §5.5: a tab is the only control character that may be in a value.
pub fn has_control(text: &[u8]) -> bool {
    text.iter().any(|b| b.is_ascii_control() && *b != b'\t')
}

pub fn without_blanks(text: &[u8]) -> &[u8] {
    let is_blank = |b: &u8| matches!(b, b' ' | b'\t');
    let start = text.iter().position(|b| !is_blank(b)).unwrap_or(text.len());
    let end = text.iter().rposition(|b| !is_blank(b)).map_or(start, |last| last + 1);
    &text[start..end]
}
