//! A value with parameters (RFC 9110 §5.6.6), as `Content-Type` and `Content-Disposition` have.

use super::octets::{has_control, is_token, is_token_byte};

/// `multipart/form-data; boundary=x`, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parameterized {
    /// `multipart/form-data`, in lower case.
    pub(super) value: String,
    /// Names in lower case, values without their quotes.
    parameters: Vec<(String, Vec<u8>)>,
}

/// More than any sender uses, and few enough to compare each name with all before it.
const MAX_PARAMETER_COUNT: usize = 32;

impl Parameterized {
    /// `None` where it is malformed. So is a name that comes twice: readers differ on which one counts.
    pub(super) fn parse(text: &[u8]) -> Option<Parameterized> {
        if has_control(text) {
            return None;
        }
        let end = memchr::memchr(b';', text).unwrap_or(text.len());
        let (value, mut rest) = text.split_at_checked(end)?;
        let mut parsed = Parameterized { value: lower_case_value(trim(value))?, parameters: Vec::new() };
        while let Some(parameter) = next_parameter(&mut rest)? {
            if parsed.parameters.len() == MAX_PARAMETER_COUNT || parsed.get(&parameter.0).is_some() {
                return None;
            }
            parsed.parameters.push(parameter);
        }
        Some(parsed)
    }

    /// The value of the parameter of this name, which is in lower case.
    pub(super) fn get(&self, name: &str) -> Option<&[u8]> {
        self.parameters.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_slice())
    }
}

/// `type/subtype` or one token.
fn lower_case_value(value: &[u8]) -> Option<String> {
    let well_formed = match memchr::memchr(b'/', value).and_then(|at| value.split_at_checked(at)) {
        Some((kind, [b'/', subtype @ ..])) => is_token(kind) && is_token(subtype),
        _ => is_token(value),
    };
    if well_formed { lower_case(value) } else { None }
}

/// The text after the next semicolon; `Some(None)` at the end. Semicolons with nothing between them are
/// allowed.
fn next_parameter(rest: &mut &[u8]) -> Option<Option<(String, Vec<u8>)>> {
    let mut text = trim(rest);
    while let [b';', after @ ..] = text {
        text = trim(after);
        if text.is_empty() || text.starts_with(b";") {
            continue;
        }
        let (name, after) = split_token(text)?;
        // RFC 9110 §5.6.6: no blanks around the equals sign.
        let (value, after) = match after {
            [b'=', b'"', quoted @ ..] => unquote(quoted)?,
            [b'=', after @ ..] => split_token(after).map(|(value, after)| (value.to_vec(), after))?,
            _ => return None,
        };
        *rest = after;
        return Some(Some((lower_case(name)?, value)));
    }
    text.is_empty().then_some(None)
}

fn split_token(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|&b| !is_token_byte(b)).unwrap_or(text.len());
    text.split_at_checked(end).filter(|(token, _)| !token.is_empty())
}

/// The text up to the closing quote, and what follows that.
///
/// A backslash stands for itself unless a quote or another backslash follows: old browsers sent
/// `filename="C:\dir\file"`, and current ones escape neither.
fn unquote(mut text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut value = Vec::new();
    loop {
        match text {
            [b'"', after @ ..] => return Some((value, after)),
            [b'\\', escaped @ (b'"' | b'\\'), after @ ..] => {
                value.push(*escaped);
                text = after;
            }
            [byte, after @ ..] => {
                value.push(*byte);
                text = after;
            }
            [] => return None,
        }
    }
}

fn lower_case(token: &[u8]) -> Option<String> {
    String::from_utf8(token.to_ascii_lowercase()).ok()
}

/// Without the blanks around it.
pub(super) fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_as_sent() {
        let cases: [(&str, &str, &[(&str, &str)]); 9] = [
            ("text/plain", "text/plain", &[]),
            (" Text/PLAIN ;", "text/plain", &[]),
            ("form-data; name=a", "form-data", &[("name", "a")]),
            ("a/b;X=1 ; y=\"2;3\" ;; z=\"\"", "a/b", &[("x", "1"), ("y", "2;3"), ("z", "")]),
            (r#"a/b; f="C:\dir\x.txt""#, "a/b", &[("f", r"C:\dir\x.txt")]),
            (r#"a/b; f="say \"hi\"\\""#, "a/b", &[("f", r#"say "hi"\"#)]),
            ("a/b; f=\"r\u{e9}sum\u{e9}\"", "a/b", &[("f", "r\u{e9}sum\u{e9}")]),
            ("a/b; f*=UTF-8''%e2%82%ac", "a/b", &[("f*", "UTF-8''%e2%82%ac")]),
            ("a/b\t;\tc=d", "a/b", &[("c", "d")]),
        ];
        for (text, value, parameters) in cases {
            let parsed = Parameterized::parse(text.as_bytes()).unwrap_or_else(|| panic!("{text} is well-formed"));
            assert_eq!(parsed.value, value);
            let expected: Vec<_> = parameters.iter().map(|(n, v)| (n.to_string(), v.as_bytes().to_vec())).collect();
            assert_eq!(parsed.parameters, expected, "{text}");
        }
    }

    #[test]
    fn what_is_malformed_is_none() {
        for text in [
            "",
            ";",
            "a/",
            "/b",
            "a/b/c",
            "a b",
            "a/b c",
            "a/b; c",
            "a/b; c=",
            "a/b; =d",
            "a/b; c =d",
            "a/b; c= d",
            "a/b; c=\"d",
            "a/b; c=\"d\"e",
            "a/b; c=d e",
            "a/b, c/d",
            "a/b; c=1; C=2",
            "a/b; c=\"1\n2\"",
        ] {
            assert_eq!(Parameterized::parse(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn there_may_be_32_parameters_and_no_more() {
        let with = |count: usize| (0..count).fold("a/b".to_owned(), |text, n| format!("{text};p{n}=v"));
        assert!(Parameterized::parse(with(32).as_bytes()).is_some());
        assert!(Parameterized::parse(with(33).as_bytes()).is_none());
    }
}
