//! Header fields: an ordered multimap that keeps order and spelling, and compares names without
//! regard to ASCII case.
//!
//! All text of a `Header` lies in one buffer and a field is two ranges of it. A head that arrives is
//! copied into that buffer whole (a kilobyte costs less than a reference count), and a `Header` that is
//! used again needs no allocation. There is no hashing, so there are no collisions to be flooded with;
//! the number of fields is bounded by the head's limits.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::octets::{is_token, is_token_byte};

/// The fields of a message (RFC 9110 §5), in order, as they were spelled.
///
/// A name may stand several times; each occurrence is a *field line* of its own. Names compare
/// without regard to ASCII case. Values are bytes: [`get`](Header::get) and
/// [`values`](Header::values) show those that are text, [`get_bytes`](Header::get_bytes) and
/// [`iter`](Header::iter) show all.
///
/// What is set here is kept as given. What goes on the wire is checked by the codec: a server
/// turns control characters in a value into spaces and leaves out a field whose name is not a token,
/// so that no value can end a line (Go's rule).
///
/// ```
/// let mut header = nethttp::Header::new();
/// header.set("Content-Type", "text/html");
/// header.add("Vary", "Accept");
/// header.add("vary", "Origin");
///
/// assert_eq!(header.get("content-type"), Some("text/html"));
/// assert_eq!(header.values("VARY").collect::<Vec<_>>(), ["Accept", "Origin"]);
/// assert_eq!(header.len(), 3);
/// ```
#[derive(Clone, Default)]
pub struct Header {
    text: Vec<u8>,
    fields: Vec<StoredField>,
    /// Bytes of `text` that no field uses any more.
    waste: usize,
}

/// Where a field's name and value lie in the text.
#[derive(Clone, Copy)]
struct StoredField {
    name: Span,
    value: Span,
    known: Known,
}

#[derive(Clone, Copy)]
struct Span {
    at: u32,
    len: u32,
}

/// Waste below this is never worth a compaction.
const MAX_WASTE_BYTES: usize = 1024;

impl Header {
    /// No fields. Does not allocate.
    pub const fn new() -> Header {
        Header { text: Vec::new(), fields: Vec::new(), waste: 0 }
    }

    /// The number of field lines.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is no field at all.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Whether a field of this name is there, whatever its value.
    pub fn contains(&self, name: impl AsRef<str>) -> bool {
        self.get_bytes(name).is_some()
    }

    /// The first value of this name, when it is text (UTF-8); `None` when there is none.
    ///
    /// A value of other bytes is `None` too: where a field's mere presence decides something,
    /// ask [`contains`](Header::contains).
    pub fn get(&self, name: impl AsRef<str>) -> Option<&str> {
        std::str::from_utf8(self.get_bytes(name)?).ok()
    }

    /// The first value of this name, as bytes.
    pub fn get_bytes(&self, name: impl AsRef<str>) -> Option<&[u8]> {
        let name = name.as_ref().as_bytes();
        self.fields.iter().find(|field| self.is_named(field, name)).map(|field| self.slice(field.value))
    }

    /// All values of this name that are text, in order.
    pub fn values(&self, name: impl AsRef<str>) -> impl Iterator<Item = &str> {
        self.values_bytes(name).filter_map(|value| std::str::from_utf8(value).ok())
    }

    /// All values of this name as bytes, in order.
    pub fn values_bytes(&self, name: impl AsRef<str>) -> impl Iterator<Item = &[u8]> {
        self.fields
            .iter()
            .filter(move |field| self.is_named(field, name.as_ref().as_bytes()))
            .map(|field| self.slice(field.value))
    }

    /// Whether `token` is among the comma-separated members of all values of this name, without
    /// regard to ASCII case (RFC 9110 §5.6.1). `Connection: keep-alive, Upgrade` has `upgrade`.
    pub fn has_token(&self, name: impl AsRef<str>, token: &str) -> bool {
        self.values_bytes(name).any(|value| list_has(value, token))
    }

    /// All field lines in order: names as spelled, values as bytes.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &[u8])> {
        self.fields.iter().map(|field| (self.name_of(field), self.slice(field.value)))
    }

    /// All field lines with what they mean to the codec, which looks at bytes.
    pub(crate) fn iter_known(&self) -> impl ExactSizeIterator<Item = (Known, &[u8], &[u8])> {
        self.fields.iter().map(|field| (field.known, self.slice(field.name), self.slice(field.value)))
    }

    /// Puts one field in place of all of this name. It stands where the first one stood, or at
    /// the end.
    pub fn set(&mut self, name: impl AsRef<str>, value: impl AsRef<[u8]>) {
        let name = name.as_ref();
        let Some(first) = self.position(name) else { return self.add(name, value) };
        self.compact_if_worth_it();
        let value = self.store(value.as_ref());
        self.waste += self.fields[first].value.len as usize;
        self.fields[first].value = value;
        self.remove_from(first + 1, name.as_bytes());
    }

    /// Adds a field line at the end, beside others of its name.
    pub fn add(&mut self, name: impl AsRef<str>, value: impl AsRef<[u8]>) {
        self.compact_if_worth_it();
        let name = name.as_ref().as_bytes();
        let known = Known::of(name);
        let name = self.store(name);
        let value = self.store(value.as_ref());
        self.fields.push(StoredField { name, value, known });
    }

    /// Takes all fields of this name away. Returns whether there was one.
    pub fn del(&mut self, name: impl AsRef<str>) -> bool {
        let before = self.fields.len();
        self.remove_from(0, name.as_ref().as_bytes());
        self.fields.len() != before
    }

    /// Keeps the field lines of which this is true, in their order.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&str, &[u8]) -> bool) {
        let Header { text, fields, waste } = self;
        let slice = |span: Span| text.get(span.at as usize..(span.at + span.len) as usize).unwrap_or_default();
        fields.retain(|field| {
            let is_kept = keep(std::str::from_utf8(slice(field.name)).unwrap_or_default(), slice(field.value));
            if !is_kept {
                *waste += (field.name.len + field.value.len) as usize;
            }
            is_kept
        });
    }

    /// Takes all fields away and keeps the memory for later ones.
    pub fn clear(&mut self) {
        self.text.clear();
        self.fields.clear();
        self.waste = 0;
    }

    /// Replaces everything by the text of `lines` received field lines;
    /// [`push_received`](Self::push_received) then says where its fields are.
    pub(crate) fn load(&mut self, text: &[u8], lines: usize) {
        if self.text.capacity() == 0 {
            // Just as much as it takes, and nothing to be grown.
            *self = Header { text: text.to_vec(), fields: Vec::with_capacity(lines), waste: 0 };
            return;
        }
        self.clear();
        self.fields.reserve(lines);
        self.text.extend_from_slice(text);
    }

    /// One field of the loaded text. Both ranges must lie in it, and the name be ASCII; a field
    /// that does not is left out.
    pub(crate) fn push_received(&mut self, known: Known, name: Range<usize>, value: Range<usize>) {
        let (Some(name), Some(value)) = (self.span(name), self.span(value)) else { return };
        self.fields.push(StoredField { name, value, known });
    }

    /// The text, for a decoder that appends names and values to it one by one;
    /// [`push_received`](Self::push_received) then says where each is. What fields use must stay.
    #[cfg(any(test, fuzzing, feature = "http2"))]
    pub(crate) fn received_text(&mut self) -> &mut Vec<u8> {
        &mut self.text
    }

    /// Becomes the same as another, in the memory that it has.
    #[cfg(all(feature = "server", feature = "http2"))]
    pub(crate) fn copy_from(&mut self, other: &Header) {
        self.clear();
        self.text.extend_from_slice(&other.text);
        self.fields.extend_from_slice(&other.fields);
        self.waste = other.waste;
    }

    /// Makes room for so many fields, of so many bytes of names and values together.
    #[cfg(all(feature = "client", feature = "http2"))]
    pub(crate) fn reserve(&mut self, fields: usize, bytes: usize) {
        self.fields.reserve(fields);
        self.text.reserve(bytes);
    }

    /// How many bytes its names and values are, and what was replaced since.
    #[cfg(all(feature = "client", feature = "http2"))]
    pub(crate) fn text_len(&self) -> usize {
        self.text.len()
    }

    /// The bytes that this header holds in memory.
    pub(crate) fn held(&self) -> usize {
        self.text.capacity() + self.fields.capacity() * size_of::<StoredField>()
    }

    fn span(&self, range: Range<usize>) -> Option<Span> {
        let len = self.text.get(range.clone())?.len();
        Some(Span { at: u32::try_from(range.start).ok()?, len: u32::try_from(len).ok()? })
    }

    fn store(&mut self, bytes: &[u8]) -> Span {
        let at = u32::try_from(self.text.len()).expect("a header is under 4 GiB");
        let len = u32::try_from(bytes.len()).expect("a field is under 4 GiB");
        self.text.extend_from_slice(bytes);
        Span { at, len }
    }

    fn compact_if_worth_it(&mut self) {
        if self.waste <= MAX_WASTE_BYTES || self.waste <= self.text.len() / 2 {
            return;
        }
        let mut fresh = Header { text: Vec::with_capacity(self.text.len() - self.waste), ..Header::new() };
        for field in &self.fields {
            let name = fresh.store(self.slice(field.name));
            let value = fresh.store(self.slice(field.value));
            fresh.fields.push(StoredField { name, value, known: field.known });
        }
        *self = fresh;
    }

    fn remove_from(&mut self, start: usize, name: &[u8]) {
        let mut at = start;
        while at < self.fields.len() {
            let field = self.fields[at];
            if self.is_named(&field, name) {
                self.waste += (field.name.len + field.value.len) as usize;
                self.fields.remove(at);
            } else {
                at += 1;
            }
        }
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| self.is_named(field, name.as_bytes()))
    }

    fn is_named(&self, field: &StoredField, name: &[u8]) -> bool {
        field.name.len as usize == name.len() && self.slice(field.name).eq_ignore_ascii_case(name)
    }

    fn name_of(&self, field: &StoredField) -> &str {
        // Names come in as `str` or, from the codec, as tokens, which are ASCII.
        std::str::from_utf8(self.slice(field.name)).unwrap_or_default()
    }

    fn slice(&self, span: Span) -> &[u8] {
        let at = span.at as usize;
        self.text.get(at..at + span.len as usize).unwrap_or_default()
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(name, value)| (name, String::from_utf8_lossy(value)))).finish()
    }
}

impl PartialEq for Header {
    /// The same fields in the same order; names without regard to case.
    fn eq(&self, other: &Header) -> bool {
        self.len() == other.len()
            && self.iter().zip(other.iter()).all(|(a, b)| a.0.eq_ignore_ascii_case(b.0) && a.1 == b.1)
    }
}

impl Eq for Header {}

impl<N: AsRef<str>, V: AsRef<[u8]>> FromIterator<(N, V)> for Header {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(fields: I) -> Header {
        let mut header = Header::new();
        header.extend(fields);
        header
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>> Extend<(N, V)> for Header {
    fn extend<I: IntoIterator<Item = (N, V)>>(&mut self, fields: I) {
        for (name, value) in fields {
            self.add(name, value);
        }
    }
}

impl From<HeaderMap> for Header {
    fn from(map: HeaderMap) -> Header {
        map.iter().collect()
    }
}

impl From<Header> for HeaderMap {
    /// Fields whose name or value the `http` crate does not allow are left out.
    fn from(header: Header) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(header.len().min(1024));
        for (name, value) in header.iter() {
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value)) {
                // `append` panics past 32,768 names; a header that large keeps what fits.
                let _ = map.try_append(name, value);
            }
        }
        map
    }
}

/// Whether a comma-separated list has this member, without regard to ASCII case.
pub(crate) fn list_has(list: &[u8], token: &str) -> bool {
    list.split(|&b| b == b',').any(|member| member.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

/// A field name as Go spells it: the first letter and each after a hyphen in upper case, the
/// others in lower case. A name that is not a token comes back unchanged (Go's `CanonicalHeaderKey`).
///
/// ```
/// assert_eq!(nethttp::header::canonical_header_key("accept-ENCODING"), "Accept-Encoding");
/// assert_eq!(nethttp::header::canonical_header_key("no token"), "no token");
/// ```
pub fn canonical_header_key(name: &str) -> Cow<'_, str> {
    if !name.bytes().all(is_token_byte) {
        return Cow::Borrowed(name);
    }
    let spelled = |name: &str| {
        let mut upper = true;
        name.bytes().all(|b| {
            let right = if upper { !b.is_ascii_lowercase() } else { !b.is_ascii_uppercase() };
            upper = b == b'-';
            right
        })
    };
    if spelled(name) {
        return Cow::Borrowed(name);
    }
    let mut upper = true;
    let respelled = name.chars().map(|c| {
        let letter = if upper { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
        upper = c == '-';
        letter
    });
    Cow::Owned(respelled.collect())
}

/// Which of the fields that the codec acts on a name stands for, if any: told once, when the field is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    CacheControl,
    Connection,
    ContentEncoding,
    ContentLength,
    ContentType,
    Date,
    Expect,
    Host,
    KeepAlive,
    Pragma,
    Trailer,
    TransferEncoding,
    /// Any other token.
    Other,
    /// No token, and so no field name: the field is not sent.
    NotAToken,
}

impl Known {
    /// Of any name.
    pub(crate) fn of(name: &[u8]) -> Known {
        match Known::of_token(name) {
            Known::Other if !is_token(name) => Known::NotAToken,
            known => known,
        }
    }

    /// Of a name that is a token. Its length and its first letter leave at most one name to compare
    /// with, and none for most fields that browsers send.
    pub(crate) fn of_token(name: &[u8]) -> Known {
        let first = name.first().map_or(0, |b| b | 0x20);
        let (known, is_it) = match (name.len(), first) {
            (4, b'd') => (Known::Date, is(name, b"date")),
            (4, b'h') => (Known::Host, is(name, b"host")),
            (6, b'e') => (Known::Expect, is(name, b"expect")),
            (6, b'p') => (Known::Pragma, is(name, b"pragma")),
            (7, b't') => (Known::Trailer, is(name, b"trailer")),
            (10, b'c') => (Known::Connection, is(name, b"connection")),
            (10, b'k') => (Known::KeepAlive, is(name, b"keep-alive")),
            (12, b'c') => (Known::ContentType, is(name, b"content-type")),
            (13, b'c') => (Known::CacheControl, is(name, b"cache-control")),
            (14, b'c') => (Known::ContentLength, is(name, b"content-length")),
            (16, b'c') => (Known::ContentEncoding, is(name, b"content-encoding")),
            (17, b't') => (Known::TransferEncoding, is(name, b"transfer-encoding")),
            _ => return Known::Other,
        };
        if is_it { known } else { Known::Other }
    }
}

/// Whether a token is this name, without regard to case. Setting bit 5 makes a capital letter a small
/// one; a hyphen has that bit already, and no other token byte becomes a letter or a hyphen by it. The
/// length is a constant, so that the compiler compares many bytes at once.
fn is<const LEN: usize>(token: &[u8], name: &[u8; LEN]) -> bool {
    let Ok(token) = <&[u8; LEN]>::try_from(token) else { return false };
    token.map(|b| b | 0x20) == *name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_a_header_of_its_own() {
        let header: Header = [("A", "1")].into_iter().collect();
        let mut copy = header.clone();
        copy.set("a", "2");
        copy.add("B", "3");
        assert_eq!((header.get("A"), header.len(), copy.get("A"), copy.len()), (Some("1"), 1, Some("2"), 2));
    }

    #[test]
    fn set_replaces_all_of_a_name_where_the_first_stood() {
        let mut header: Header = [("A", "1"), ("B", "2"), ("a", "3"), ("C", "4")].into_iter().collect();
        header.set("a", "5");
        let fields: Vec<_> = header.iter().collect();
        assert_eq!(fields, [("A", &b"5"[..]), ("B", b"2"), ("C", b"4")]);
    }

    #[test]
    fn del_takes_all_of_a_name() {
        let mut header: Header = [("A", "1"), ("B", "2"), ("a", "3")].into_iter().collect();
        assert!(header.del("A"));
        assert!(!header.del("A"));
        assert_eq!(header.len(), 1);
    }

    #[test]
    fn a_value_that_is_no_text_is_there_but_not_as_text() {
        let mut header = Header::new();
        header.set("X", [0xff, 0xfe]);
        assert_eq!(header.get("x"), None);
        assert!(header.contains("x"));
        assert_eq!(header.get_bytes("x"), Some(&[0xff, 0xfe][..]));
    }

    #[test]
    fn names_fold_ascii_only() {
        let mut header = Header::new();
        header.set("Keep", "1");
        assert_eq!(header.get("\u{212a}eep"), None, "the Kelvin sign is no k");
    }

    #[test]
    fn tokens_are_found_in_lists_over_several_lines() {
        let header: Header = [("Connection", "keep-alive , Upgrade"), ("connection", ",,close")].into_iter().collect();
        assert!(header.has_token("Connection", "upgrade"));
        assert!(header.has_token("Connection", "CLOSE"));
        assert!(!header.has_token("Connection", "keep"));
    }

    #[test]
    fn a_field_set_over_and_over_does_not_grow() {
        let mut header = Header::new();
        for n in 0..100_000 {
            header.set("X-Count", n.to_string());
        }
        assert_eq!(header.get("X-Count"), Some("99999"));
        assert!(header.held() < 16 * 1024, "{} bytes for one field", header.held());
    }

    #[test]
    fn it_becomes_a_header_map_and_back() {
        let header: Header = [("x-a", "1"), ("x-b", "2"), ("x-a", "3")].into_iter().collect();
        let map = HeaderMap::from(header.clone());
        assert_eq!(map.get_all("x-a").iter().count(), 2);
        let back = Header::from(map);
        assert_eq!(back.values("X-A").collect::<Vec<_>>(), ["1", "3"]);
    }

    #[test]
    fn names_are_spelled_as_go_spells_them() {
        for (name, spelled) in [("content-type", "Content-Type"), ("DNT", "Dnt"), ("x", "X"), ("a--b", "A--B")] {
            assert_eq!(canonical_header_key(name), spelled);
        }
        assert!(matches!(canonical_header_key("Content-Type"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_name_is_known_in_any_case_and_whole_only() {
        for (name, known) in [
            ("Host", Known::Host),
            ("hOST", Known::Host),
            ("Date", Known::Date),
            ("expect", Known::Expect),
            ("PRAGMA", Known::Pragma),
            ("Trailer", Known::Trailer),
            ("Upgrade", Known::Other),
            ("Connection", Known::Connection),
            ("Keep-Alive", Known::KeepAlive),
            ("Content-Type", Known::ContentType),
            ("Cache-Control", Known::CacheControl),
            ("CONTENT-LENGTH", Known::ContentLength),
            ("transfer-encoding", Known::TransferEncoding),
            ("Content-Encoding", Known::ContentEncoding),
            ("Content_Length", Known::Other),
            ("Content-Lengths", Known::Other),
            ("Hast", Known::Other),
            ("", Known::NotAToken),
            ("no token", Known::NotAToken),
        ] {
            assert_eq!(Known::of(name.as_bytes()), known, "{name}");
        }
    }
}
