//! Encoding of header blocks (RFC 7541 §6 and §7.1).
//!
//! Every field is one of three kinds. Most are put into the dynamic table, so that the next block has one
//! byte for them. Those whose value seldom comes again are spelled out and left out of the table, where
//! they would only drive others away. Secrets are spelled out as *never indexed*: who compares the length
//! of blocks must not learn of a guess that it was right (RFC 7541 §7.1), and no intermediary may put them
//! into a table either.

use super::super::field_kind::FieldKind;
use super::table::{DynamicTable, EntryTag, TableField};
use super::{DEFAULT_TABLE_BYTES, FIELD_OVERHEAD_BYTES, huffman, integer, static_table};
use crate::message::Known;

/// Encodes the header blocks of one direction of a connection, in the order in which they are sent.
#[derive(Debug)]
pub(crate) struct HpackEncoder {
    table: DynamicTable,
    /// The size that the peer was told last.
    told_size: usize,
    /// The least size that the table had since then.
    least_size: usize,
    /// No larger table is used, whatever the peer allows.
    own_limit: usize,
}

/// How a field is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Indexing {
    Incremental,
    Without,
    Never,
}

/// As much of the table a field may take: a larger one would drive most others away.
const MAX_SHARE: (usize, usize) = (3, 4);

/// A secret below this many bytes can be guessed piece by piece; beyond it, it is random enough.
const MAX_GUESSED_BYTES: usize = 20;

impl HpackEncoder {
    /// An encoder whose table never has more than these bytes: it costs memory and a search, and what repeats
    /// between messages mostly fits into the default. 0 is no table at all. Before the peer has said anything
    /// it allows [`DEFAULT_TABLE_BYTES`] (RFC 9113 §6.5.2).
    pub(crate) fn with_limit(own_limit: usize) -> HpackEncoder {
        let size = own_limit.min(DEFAULT_TABLE_BYTES);
        HpackEncoder {
            table: DynamicTable::new(size),
            // A peer takes the default for granted, so that a smaller one is said in the first block.
            told_size: DEFAULT_TABLE_BYTES,
            least_size: size,
            own_limit,
        }
    }

    #[cfg(any(test, fuzzing))]
    pub(crate) fn new() -> HpackEncoder {
        HpackEncoder::with_limit(DEFAULT_TABLE_BYTES)
    }

    /// The peer allows this SETTINGS_HEADER_TABLE_SIZE.
    pub(crate) fn set_max_table_bytes(&mut self, max: usize) {
        let size = max.min(self.own_limit);
        self.least_size = self.least_size.min(size);
        self.table.set_max_size(size);
    }

    /// Begins a block. RFC 7541 §4.2: what became of the table's size since the last one is said first:
    /// the least that it was, since entries went for that, and what it is.
    pub(crate) fn begin(&mut self, into: &mut Vec<u8>) {
        let size = self.table.max_size();
        if self.least_size < size.min(self.told_size) {
            integer::write(into, 0x20, 5, self.least_size);
            self.told_size = self.least_size;
        }
        if size != self.told_size {
            integer::write(into, 0x20, 5, size);
        }
        (self.told_size, self.least_size) = (size, size);
    }

    /// Appends `:status`. Those that the static table lacks are put into the dynamic one.
    pub(crate) fn status(&mut self, into: &mut Vec<u8>, status: u16) {
        if let Some(index) = static_table::index_of_status(status) {
            return integer::write(into, 0x80, 7, index);
        }
        self.field(into, FieldKind::Status, b":status", itoa::Buffer::new().format(status).as_bytes());
    }

    /// Appends a field. The name's letters may have any case; they are sent small (RFC 9113 §8.2.1).
    pub(crate) fn field(&mut self, into: &mut Vec<u8>, kind: FieldKind, name: &[u8], value: &[u8]) {
        let name_index = static_index(kind, name);
        match indexing(kind, name_index, name, value) {
            Indexing::Incremental if self.is_small_enough(name, value) => self.indexed(into, name_index, name, value),
            Indexing::Incremental | Indexing::Without => literal(into, (0x00, 4), name_index, name, value),
            Indexing::Never => literal(into, (0x10, 4), name_index, name, value),
        }
    }

    /// The bytes that it holds in memory.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn held(&self) -> usize {
        self.table.held()
    }

    fn is_small_enough(&self, name: &[u8], value: &[u8]) -> bool {
        let size = name.len() + value.len() + FIELD_OVERHEAD_BYTES;
        size <= self.table.max_size() / MAX_SHARE.1 * MAX_SHARE.0
    }

    fn indexed(&mut self, into: &mut Vec<u8>, name_index: usize, name: &[u8], value: &[u8]) {
        if let Some(index) = whole_static_field(name_index, value) {
            return integer::write(into, 0x80, 7, index);
        }
        let tag = EntryTag { hash: hash_of(name_index, name, value), name_index: name_index as u8 };
        if let Some(index) = self.table.find(tag, name, value) {
            return integer::write(into, 0x80, 7, index + static_table::STATIC_COUNT + 1);
        }
        literal(into, (0x40, 6), name_index, name, value);
        // The decoder has the name in small letters; here its case does not matter.
        self.table.insert(TableField { name, value, kind: FieldKind::Malformed, is_valid: true }, tag);
    }
}

/// The index of the name in the static table, or 0. Names that nearly every message has are not searched.
fn static_index(kind: FieldKind, name: &[u8]) -> usize {
    match kind {
        FieldKind::Authority => 1,
        FieldKind::Method => 2,
        FieldKind::Path => 4,
        FieldKind::Scheme => 6,
        FieldKind::Status => 8,
        FieldKind::Field(Known::ContentLength) => 28,
        FieldKind::Field(Known::ContentType) => 31,
        FieldKind::Cookie => 32,
        FieldKind::Field(Known::Date) => 33,
        FieldKind::Protocol => 0,
        _ => static_table::index_of(name).unwrap_or_default(),
    }
}

/// Static entries that have a value: `:method`, `:path`, `:scheme`, `:status` and `accept-encoding`.
fn whole_static_field(name_index: usize, value: &[u8]) -> Option<usize> {
    let candidates = match name_index {
        2 => 2..=3,
        4 => 4..=5,
        6 => 6..=7,
        8 => 8..=14,
        16 => 16..=16,
        _ => return None,
    };
    candidates.into_iter().find(|&index| static_table::entry(index).is_some_and(|field| field.value == value))
}

/// What goes into the table. The lists are decided for what servers and clients send:
///
/// - secrets are never indexed: `authorization`, `proxy-authorization`, and `cookie` and `set-cookie` as
///   long as they are short enough to be guessed;
/// - what differs from message to message stays out: lengths, ranges, validators, ages, places, `set-cookie`,
///   and a `:path` with a query;
/// - all else comes again, `date` for a second.
fn indexing(kind: FieldKind, name_index: usize, name: &[u8], value: &[u8]) -> Indexing {
    match (kind, name_index) {
        // authorization, proxy-authorization
        (_, 23 | 49) => Indexing::Never,
        // cookie, set-cookie
        (_, 32 | 55) if value.len() < MAX_GUESSED_BYTES => Indexing::Never,
        (FieldKind::Path, _) if value.contains(&b'?') => Indexing::Without,
        // age, content-length, content-range, etag, expires, if-modified-since, if-none-match, if-range,
        // if-unmodified-since, last-modified, location, range, set-cookie
        (_, 21 | 28 | 30 | 34 | 36 | 40..=44 | 46 | 50 | 55) => Indexing::Without,
        // Names that no static entry has, of which each message has its own.
        (_, 0) if name.eq_ignore_ascii_case(b"x-request-id") || name.eq_ignore_ascii_case(b"traceparent") => {
            Indexing::Without
        }
        _ => Indexing::Incremental,
    }
}

/// RFC 7541 §6.2, with the bits that say which literal it is, and how many bits are left for the index.
fn literal(into: &mut Vec<u8>, (first, prefix): (u8, u32), name_index: usize, name: &[u8], value: &[u8]) {
    integer::write(into, first, prefix, name_index);
    if name_index == 0 {
        string(into, name.iter().map(u8::to_ascii_lowercase));
    }
    string(into, value.iter().copied());
}

/// RFC 7541 §5.2: as Huffman code where that is shorter.
fn string(into: &mut Vec<u8>, text: impl ExactSizeIterator<Item = u8> + Clone) {
    let (len, code_len) = (text.len(), huffman::encoded_len(text.clone()));
    if code_len < len {
        integer::write(into, 0x80, 7, code_len);
        huffman::encode(text, into);
    } else {
        integer::write(into, 0, 7, len);
        into.extend(text);
    }
}

/// A peer that chose names and values of one hash would make a search slower by a table's hundred entries:
/// no need for a hash that cannot be foreseen.
fn hash_of(name_index: usize, name: &[u8], value: &[u8]) -> u32 {
    const PRIME: u32 = 0x9e37_79b1;
    let mut hash = name_index as u32 ^ 0x811c_9dc5;
    if name_index == 0 {
        for &byte in name {
            hash = (hash ^ u32::from(byte | 0x20)).wrapping_mul(PRIME).rotate_left(5);
        }
    }
    let mut words = value.chunks_exact(4);
    for word in &mut words {
        let word = word.first_chunk().map_or(0, |word| u32::from_le_bytes(*word));
        hash = (hash ^ word).wrapping_mul(PRIME).rotate_left(13);
    }
    for &byte in words.remainder() {
        hash = (hash ^ u32::from(byte)).wrapping_mul(PRIME).rotate_left(5);
    }
    hash
}
