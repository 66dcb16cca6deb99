//! Names with values, as queries and forms have them, and how they are read from
//! `application/x-www-form-urlencoded`.

use std::borrow::Cow;
use std::sync::Arc;

use http::StatusCode;

use crate::error::{Error, ErrorKind, Result};

/// Names with values, in order: a query, or a form (Go's `url.Values`).
///
/// A name may have several values. Names are compared byte by byte: `A` is not `a`.
///
/// ```
/// use nethttp::Values;
///
/// let mut values = Values::parse("tag=rust&tag=http&q=a+b%26c")?;
/// assert_eq!(values.get("q"), Some("a b&c"));
/// assert_eq!(values.values("tag").collect::<Vec<_>>(), ["rust", "http"]);
///
/// values.set("tag", "go");
/// assert_eq!(values.encode(), "tag=go&q=a+b%26c");
/// # Ok::<(), nethttp::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values(Vec<(String, String)>);

/// Go's bound on the pairs of a form or a query.
const MAX_PAIR_COUNT: usize = 10_000;

impl Values {
    /// No values.
    pub const fn new() -> Values {
        Values(Vec::new())
    }

    /// Reads `application/x-www-form-urlencoded`: pairs between ampersands, a plus sign for a
    /// space, `%` and two hexadecimal digits for any byte.
    ///
    /// A pair without an equals sign has an empty value, an empty pair is none.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], whose response is 400, for a `%` without two hexadecimal digits; for
    /// bytes that are not UTF-8 once they are unescaped (the URL standard replaces them, and then `%FF`
    /// and `%FE` would be the same value); for a semicolon that is not escaped, which others may take for a separator; and for more than
    /// 10,000 pairs.
    pub fn parse(text: &str) -> Result<Values> {
        Parsed::read(text.as_bytes()).whole()
    }

    /// The first value of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values(name).next()
    }

    /// All values of this name, in order.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        self.iter().filter(move |(n, _)| *n == name).map(|(_, value)| value)
    }

    /// Whether there is a value of this name, even an empty one.
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// All names with their values, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// How many values there are, of all names.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no value at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts one value in place of all of this name. It stands where the first one stood, or at
    /// the end.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let name = name.into();
        let Some(first) = self.0.iter().position(|(n, _)| *n == name) else { return self.add(name, value) };
        let mut at = 0;
        self.0.retain(|(n, _)| {
            at += 1;
            at - 1 <= first || *n != name
        });
        if let Some(kept) = self.0.get_mut(first) {
            kept.1 = value.into();
        }
    }

    /// Adds a value at the end, beside others of its name.
    pub fn add(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.push((name.into(), value.into()));
    }

    /// Takes all values of this name away. Returns whether there was one.
    pub fn del(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|(n, _)| n != name);
        self.0.len() != before
    }

    /// Writes `application/x-www-form-urlencoded`, in order: the query of a URL, or the content
    /// of a form.
    pub fn encode(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(self.iter()).finish()
    }
}

impl<Name: Into<String>, Value: Into<String>> FromIterator<(Name, Value)> for Values {
    fn from_iter<Pairs: IntoIterator<Item = (Name, Value)>>(pairs: Pairs) -> Values {
        Values(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl<Name: Into<String>, Value: Into<String>> Extend<(Name, Value)> for Values {
    fn extend<Pairs: IntoIterator<Item = (Name, Value)>>(&mut self, pairs: Pairs) {
        self.0.extend(pairs.into_iter().map(|(name, value)| (name.into(), value.into())));
    }
}

impl IntoIterator for Values {
    type Item = (String, String);
    type IntoIter = std::vec::IntoIter<(String, String)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// What a request's content was read as, kept for further calls because it can be read only once. It is
/// in the request's extensions, which are cleared with the request.
#[derive(Clone, Debug)]
pub(crate) enum ReadAs {
    Form(Arc<Parsed>),
    /// The caller that asked for its parts has them. Kept here are the values, where the parts were
    /// read as a form.
    Parts(Arc<Values>),
}

/// The pairs that are well-formed, and what is wrong with the first that is not.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parsed {
    pub(crate) values: Values,
    fault: Option<FormFault>,
}

/// What is wrong with a pair, or with all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FormFault {
    Escape,
    NotUtf8,
    Semicolon,
    TooMany,
}

impl Parsed {
    /// Go's rules: what is wrong with one pair leaves the others, too many leave none.
    pub(crate) fn read(text: &[u8]) -> Parsed {
        // Before anything is kept: pairs cost more than their bytes.
        if memchr::memchr_iter(b'&', text).count() >= MAX_PAIR_COUNT {
            return Parsed { values: Values::new(), fault: Some(FormFault::TooMany) };
        }
        let mut parsed = Parsed::default();
        for pair in raw_pairs(text) {
            match pair.and_then(|pair| pair.unescaped()) {
                Ok((name, value)) => parsed.values.add(name, value),
                Err(fault) => parsed.fault = parsed.fault.or(Some(fault)),
            }
        }
        parsed
    }

    /// The values, if nothing is wrong with any.
    pub(crate) fn whole(self) -> Result<Values> {
        match self.fault {
            None => Ok(self.values),
            Some(fault) => Err(fault.into()),
        }
    }

    /// Adds others after these. The first thing that is wrong stays the first.
    pub(crate) fn append(&mut self, others: Parsed) {
        self.values.extend(others.values);
        self.fault = self.fault.or(others.fault);
    }
}

impl From<Values> for Parsed {
    fn from(values: Values) -> Parsed {
        Parsed { values, fault: None }
    }
}

impl From<FormFault> for Error {
    fn from(fault: FormFault) -> Error {
        malformed(match fault {
            FormFault::Escape => "a percent sign in a form or a query without two hexadecimal digits behind it",
            FormFault::NotUtf8 => "a name or a value in a form or a query that is no UTF-8",
            FormFault::Semicolon => "a semicolon in a form or a query that is not escaped",
            FormFault::TooMany => "more than 10,000 pairs in a form or a query",
        })
    }
}

/// The peer's content is malformed.
pub(crate) fn malformed(message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Malformed, message).with_status(StatusCode::BAD_REQUEST)
}

/// A name or a value without its escapes: Go's `QueryUnescape`.
pub(crate) fn unescape_form(text: &str) -> Result<Cow<'_, str>> {
    Ok(unescape(text.as_bytes())?)
}

/// The pairs of a query that are well-formed, one after the other: nothing is kept.
pub(super) fn query_pairs(query: &str) -> impl Iterator<Item = (String, String)> + '_ {
    raw_pairs(query.as_bytes()).filter_map(|pair| pair.ok()?.unescaped().ok())
}

/// The first value of this name in a query among its well-formed pairs.
pub(super) fn query_value(query: &str, name: &str) -> Option<String> {
    let is_named = |pair: &RawPair<'_>| unescape(pair.name).is_ok_and(|n| n == name);
    let mut named = raw_pairs(query.as_bytes()).flatten().filter(is_named);
    named.find_map(|pair| unescape(pair.value).ok()).map(Cow::into_owned)
}

struct RawPair<'a> {
    name: &'a [u8],
    value: &'a [u8],
}

impl RawPair<'_> {
    fn unescaped(&self) -> Result<(String, String), FormFault> {
        let name = unescape(self.name)?;
        let value = unescape(self.value)?;
        Ok((name.into_owned(), value.into_owned()))
    }
}

fn raw_pairs(text: &[u8]) -> impl Iterator<Item = Result<RawPair<'_>, FormFault>> {
    text.split(|&b| b == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        if memchr::memchr(b';', pair).is_some() {
            return Err(FormFault::Semicolon);
        }
        let (name, value) = match memchr::memchr(b'=', pair).and_then(|at| pair.split_at_checked(at)) {
            Some((name, [b'=', value @ ..])) => (name, value),
            _ => (pair, &[][..]),
        };
        Ok(RawPair { name, value })
    })
}

fn unescape(text: &[u8]) -> Result<Cow<'_, str>, FormFault> {
    if memchr::memchr2(b'%', b'+', text).is_none() {
        return std::str::from_utf8(text).map(Cow::Borrowed).map_err(|_| FormFault::NotUtf8);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    loop {
        let (byte, after) = match rest {
            [b'%', high, low, after @ ..] => match (hex_digit(*high), hex_digit(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, after),
                _ => return Err(FormFault::Escape),
            },
            [b'%', ..] => return Err(FormFault::Escape),
            [b'+', after @ ..] => (b' ', after),
            [byte, after @ ..] => (*byte, after),
            [] => break,
        };
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| FormFault::NotUtf8)
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<(String, String)> {
        Parsed::read(text.as_bytes()).values.into_iter().collect()
    }

    fn fault(text: &str) -> Option<FormFault> {
        Parsed::read(text.as_bytes()).fault
    }

    #[test]
    fn pairs_are_read_as_the_url_standard_says() {
        let cases: [(&str, &[(&str, &str)]); 10] = [
            ("", &[]),
            ("&&", &[]),
            ("a", &[("a", "")]),
            ("a=", &[("a", "")]),
            ("=a", &[("", "a")]),
            ("a=b=c", &[("a", "b=c")]),
            ("a=1&&b=2&a=3", &[("a", "1"), ("b", "2"), ("a", "3")]),
            ("a+b=c%20d%2B", &[("a b", "c d+")]),
            ("%61%3d=%3B%26", &[("a=", ";&")]),
            ("a=b&\u{e9}=%C3%A9", &[("a", "b"), ("\u{e9}", "\u{e9}")]),
        ];
        for (text, expected) in cases {
            let expected: Vec<_> = expected.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
            assert_eq!(parsed(text), expected, "{text}");
            assert_eq!(fault(text), None, "{text}");
        }
    }

    #[test]
    fn a_malformed_pair_is_reported_and_leaves_the_others() {
        for text in ["a=1&b=%&c=3", "a=1&b=%4&c=3", "a=1&b=%4g&c=3", "a=1&%zz=b&c=3", "a=1&b=%+1&c=3"] {
            assert_eq!(fault(text), Some(FormFault::Escape), "{text}");
            assert_eq!(parsed(text).len(), 2, "{text}");
        }
        assert_eq!(fault("a=1&b=2;c=3&d=4"), Some(FormFault::Semicolon));
        assert_eq!(parsed("a=1&b=2;c=3&d=4"), parsed("a=1&d=4"));
        assert_eq!(fault("a=%zz&b=2;c"), Some(FormFault::Escape), "the first is told");
    }

    #[test]
    fn what_is_no_utf_8_is_reported_and_never_replaced() {
        for text in [&b"a=1&b=%ff&c=3"[..], b"a=1&%fe=2&c=3", b"a=1&b=\xff&c=3", b"a=1&b=%C3&c=3"] {
            let parsed = Parsed::read(text);
            assert_eq!(parsed.fault, Some(FormFault::NotUtf8), "{}", text.escape_ascii());
            assert_eq!(parsed.values.encode(), "a=1&c=3", "{}", text.escape_ascii());
        }
        assert_eq!(query_value("a=%ff&a=%C3%A9", "a").as_deref(), Some("\u{e9}"));
        assert_eq!(query_value("%ff=1", "\u{fffd}"), None);
        assert_eq!(query_pairs("a=%ff&b=1").collect::<Vec<_>>(), [("b".to_owned(), "1".to_owned())]);
    }

    #[test]
    fn ten_thousand_pairs_are_read_and_one_more_is_reported() {
        let just = vec!["a=1"; MAX_PAIR_COUNT].join("&");
        assert_eq!(Values::parse(&just).unwrap().len(), MAX_PAIR_COUNT);
        let error = Values::parse(&format!("{just}&")).unwrap_err();
        assert_eq!((error.kind(), error.status()), (ErrorKind::Malformed, Some(StatusCode::BAD_REQUEST)));
        assert_eq!(parsed(&format!("{just}&a=1")), []);
    }

    #[test]
    fn what_was_encoded_is_read_back() {
        let values: Values = [("a b", "&=;%+"), ("", "\u{20ac}"), ("a b", "")].into_iter().collect();
        assert_eq!(Values::parse(&values.encode()).unwrap(), values);
    }

    #[test]
    fn set_replaces_all_of_a_name_where_the_first_stood() {
        let mut values: Values = [("a", "1"), ("b", "2"), ("a", "3"), ("c", "4")].into_iter().collect();
        values.set("a", "5");
        values.set("d", "6");
        assert_eq!(values.encode(), "a=5&b=2&c=4&d=6");
    }

    #[test]
    fn del_takes_all_of_a_name() {
        let mut values: Values = [("a", "1"), ("b", "2"), ("a", "3")].into_iter().collect();
        assert!(values.del("a"));
        assert!(!values.del("a"));
        assert_eq!(values.encode(), "b=2");
    }
}
