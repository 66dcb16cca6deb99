//! Compression of header fields (RFC 7541).
//!
//! A field is a reference into the static table or the dynamic table, or it is spelled out. Both sides of
//! a connection keep one dynamic table for each direction, and change it in the order of the header
//! blocks. So every block has to be decoded, even that of a stream that nobody wants any more, and a
//! block that cannot be decoded ends the connection (RFC 9113 §4.3).

mod decoder;
mod encoder;
mod huffman;
mod integer;
#[cfg(any(test, fuzzing))]
mod kept_fields;
mod static_table;
mod table;
#[cfg(test)]
mod tests;

#[cfg(any(test, fuzzing))]
pub(crate) use kept_fields::{KeptFields, NO_LIMITS, encoded, table_size_change};
#[cfg(test)]
pub(crate) use tests::Random;

pub(crate) use decoder::{DecodedList, FieldSink, HpackDecoder, ListLimits};
pub(crate) use encoder::HpackEncoder;

/// The size of a dynamic table that nothing else was said of, in bytes (RFC 9113 §6.5.2).
pub(crate) const DEFAULT_TABLE_BYTES: usize = 4096;

/// What a field counts beside its text, in a table and in a list (RFC 7541 §4.1, RFC 9113 §6.5.2).
pub(crate) const FIELD_OVERHEAD_BYTES: usize = 32;

/// Why a header block cannot be decoded. Each is a connection error, COMPRESSION_ERROR (RFC 9113 §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HpackFault {
    /// The block ends within a field.
    Truncated,
    /// An integer beyond what any block can need (RFC 7541 §5.1).
    LargeInteger,
    /// A string that is no Huffman code, or ends with what is no padding (RFC 7541 §5.2).
    Huffman,
    /// An index that no entry has (RFC 7541 §2.3.3).
    Index,
    /// A table size over the limit, or a change of it behind a field (RFC 7541 §4.2).
    TableSize,
    /// The limit was lowered, and the next block does not begin with a change of size (RFC 9113 §4.3.1).
    NoTableSize,
}

impl HpackFault {
    pub(crate) fn in_words(self) -> &'static str {
        match self {
            HpackFault::Truncated => "header fields that are cut off",
            HpackFault::LargeInteger => "an integer of a header block is too large",
            HpackFault::Huffman => "a string of a header block is no Huffman code",
            HpackFault::Index => "an index that no header field has",
            HpackFault::TableSize => "a header table size that is not allowed",
            HpackFault::NoTableSize => "a header block without the table size that was due",
        }
    }
}
