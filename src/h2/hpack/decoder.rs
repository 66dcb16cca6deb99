//! Decoding of header blocks (RFC 7541 §3.2 and §6).

use super::super::field_kind::{FieldKind, is_value};
use super::table::{DynamicTable, EntryTag, TableField};
use super::{DEFAULT_TABLE_BYTES, FIELD_OVERHEAD_BYTES, HpackFault, huffman, integer, static_table};

/// Where fields go as they are decoded.
pub(crate) trait FieldSink {
    /// The text to append names and values to. It must come back with all that was in it.
    fn text(&mut self) -> &mut Vec<u8>;

    /// A field was appended to the text, from `at` to the end: its name, and its value behind it. The sink
    /// may take it off the text again. `is_valid` says whether the value is one that may come.
    fn push(&mut self, kind: FieldKind, is_valid: bool, at: usize, name_len: usize);

    /// A whole field of a table, which is not on the text yet. Most fields come so; a sink that does not
    /// want all of it there does otherwise.
    fn put(&mut self, kind: FieldKind, is_valid: bool, name: &[u8], value: &[u8]) {
        let text = self.text();
        let at = text.len();
        text.extend_from_slice(name);
        text.extend_from_slice(value);
        self.push(kind, is_valid, at, name.len());
    }
}

/// How much one list of fields may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ListLimits {
    /// Counted as RFC 9113 §6.5.2 says: 32 bytes for each field beside its text.
    pub(crate) max_bytes: usize,
    pub(crate) max_fields: usize,
}

/// What a block was as a whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct DecodedList {
    /// The size of all of it, as RFC 9113 §6.5.2 counts.
    pub(crate) bytes: usize,
    pub(crate) fields: usize,
    /// Whether it went over a limit. The sink has what came before.
    pub(crate) is_too_large: bool,
}

/// Decodes the header blocks of one direction of a connection, in their order.
#[derive(Debug)]
pub(crate) struct HpackDecoder {
    table: DynamicTable,
    /// What the table may be set to: ours, once the peer has acknowledged it.
    max_table_bytes: usize,
    /// The limit is below what the table has: the next block has to say a size first (RFC 9113 §4.3.1).
    awaits_table_size: bool,
}

impl HpackDecoder {
    pub(crate) fn new() -> HpackDecoder {
        HpackDecoder {
            table: DynamicTable::new(DEFAULT_TABLE_BYTES),
            max_table_bytes: DEFAULT_TABLE_BYTES,
            awaits_table_size: false,
        }
    }

    /// The peer has acknowledged this SETTINGS_HEADER_TABLE_SIZE.
    pub(crate) fn set_max_table_bytes(&mut self, max: usize) {
        self.max_table_bytes = max;
        self.awaits_table_size = max < self.table.max_size();
    }

    /// Decodes a whole block. Of a list over the limits the rest is decoded too, for the table's sake, and
    /// dropped.
    pub(crate) fn decode(
        &mut self,
        block: &[u8],
        limits: ListLimits,
        sink: &mut impl FieldSink,
    ) -> Result<DecodedList, HpackFault> {
        let mut rest = self.table_sizes(block)?;
        let mut list = DecodedList::default();
        while let Some((&first, after)) = rest.split_first() {
            rest = if first & 0x80 != 0 {
                self.indexed(first, after, &mut Counted { list: &mut list, limits, sink })?
            } else if first & 0x20 != 0 && first & 0x40 == 0 {
                // RFC 7541 §4.2: at the beginning of a block alone.
                return Err(HpackFault::TableSize);
            } else {
                self.literal(first, after, &mut Counted { list: &mut list, limits, sink })?
            };
        }
        Ok(list)
    }

    /// The bytes that it holds in memory.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn held(&self) -> usize {
        self.table.held()
    }

    #[cfg(test)]
    pub(super) fn table_size(&self) -> usize {
        self.table.size()
    }

    /// RFC 7541 §6.3. At most two are needed (§4.2), but some encoders say each change that there was;
    /// they cost a peer more than us.
    fn table_sizes<'a>(&mut self, block: &'a [u8]) -> Result<&'a [u8], HpackFault> {
        let mut rest = block;
        while let Some((&first, after)) = rest.split_first().filter(|(first, _)| *first & 0xe0 == 0x20) {
            let (size, after) = integer::read(first, 5, after)?;
            if size > self.max_table_bytes {
                return Err(HpackFault::TableSize);
            }
            self.table.set_max_size(size);
            self.awaits_table_size = false;
            rest = after;
        }
        if self.awaits_table_size { Err(HpackFault::NoTableSize) } else { Ok(rest) }
    }

    /// RFC 7541 §6.1.
    fn indexed<'a, S: FieldSink>(
        &self,
        first: u8,
        after: &'a [u8],
        counted: &mut Counted<'_, S>,
    ) -> Result<&'a [u8], HpackFault> {
        let (index, rest) = integer::read(first, 7, after)?;
        let TableField { name, value, kind, is_valid } = self.field(index)?;
        // Counted before it is copied: a byte can stand for a field as large as the table.
        if counted.takes(name.len() + value.len()) {
            counted.sink.put(kind, is_valid, name, value);
        }
        Ok(rest)
    }

    /// RFC 7541 §6.2: added to the table, or not added, or never to be.
    fn literal<'a, S: FieldSink>(
        &mut self,
        first: u8,
        after: &'a [u8],
        counted: &mut Counted<'_, S>,
    ) -> Result<&'a [u8], HpackFault> {
        let enters_table = first & 0x40 != 0;
        let (index, rest) = integer::read(first, if enters_table { 6 } else { 4 }, after)?;
        let text = counted.sink.text();
        let at = text.len();
        let (kind, rest) = if index == 0 {
            let rest = string(rest, text)?;
            (FieldKind::of(text.get(at..).unwrap_or_default()), rest)
        } else {
            let field = self.field(index)?;
            text.extend_from_slice(field.name);
            (field.kind, rest)
        };
        let value_at = text.len();
        let rest = string(rest, text)?;
        let name = text.get(at..value_at).unwrap_or_default();
        let value = text.get(value_at..).unwrap_or_default();
        let (is_valid, text_len) = (is_value(value), text.len() - at);
        if enters_table {
            self.table.insert(TableField { name, value, kind, is_valid }, EntryTag::default());
        }
        if counted.takes(text_len) {
            counted.sink.push(kind, is_valid, at, value_at - at);
        } else {
            counted.sink.text().truncate(at);
        }
        Ok(rest)
    }

    fn field(&self, index: usize) -> Result<TableField<'_>, HpackFault> {
        if let Some(field) = static_table::entry(index) {
            return Ok(TableField { name: field.name, value: field.value, kind: field.kind, is_valid: true });
        }
        let dynamic = index.checked_sub(static_table::STATIC_COUNT + 1);
        dynamic.and_then(|index| self.table.field(index)).ok_or(HpackFault::Index)
    }
}

/// A sink and how much of its list has come.
struct Counted<'a, S> {
    list: &'a mut DecodedList,
    limits: ListLimits,
    sink: &'a mut S,
}

impl<S> Counted<'_, S> {
    /// Counts a field with this much text, and says whether it is still within the limits.
    fn takes(&mut self, text_len: usize) -> bool {
        // A block of a few MiB can stand for more than a usize counts where that has 32 bits.
        self.list.bytes = self.list.bytes.saturating_add(text_len + FIELD_OVERHEAD_BYTES);
        self.list.fields += 1;
        let is_over = self.list.bytes > self.limits.max_bytes || self.list.fields > self.limits.max_fields;
        self.list.is_too_large |= is_over;
        !self.list.is_too_large
    }
}

/// Appends the text of a string (RFC 7541 §5.2), and returns what follows it.
fn string<'a>(input: &'a [u8], into: &mut Vec<u8>) -> Result<&'a [u8], HpackFault> {
    let (&first, rest) = input.split_first().ok_or(HpackFault::Truncated)?;
    let (len, rest) = integer::read(first, 7, rest)?;
    let (text, rest) = rest.split_at_checked(len).ok_or(HpackFault::Truncated)?;
    if first & 0x80 == 0 {
        into.extend_from_slice(text);
    } else {
        huffman::decode(text, into)?;
    }
    Ok(rest)
}
