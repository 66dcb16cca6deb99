//! The dynamic table (RFC 7541 §2.3.2 and §4).
//!
//! All text lies in one buffer: entries come in at its end and go from its beginning, and it is moved
//! together now and then. Its memory grows with what is in it, to twice the table's size at most and a
//! little, and is given back with the last entry.

use std::collections::VecDeque;

use super::super::field_kind::FieldKind;
use super::FIELD_OVERHEAD_BYTES;

/// An entry's field: its text, and what is known of it since it came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TableField<'a> {
    pub(super) name: &'a [u8],
    pub(super) value: &'a [u8],
    pub(super) kind: FieldKind,
    /// Whether the value is one that may come.
    pub(super) is_valid: bool,
}

#[derive(Debug)]
pub(super) struct DynamicTable {
    text: Vec<u8>,
    /// The newest first.
    entries: VecDeque<TableEntry>,
    size: usize,
    max_size: usize,
}

#[derive(Debug, Clone, Copy)]
struct TableEntry {
    at: u32,
    name_len: u32,
    value_len: u32,
    /// Of the encoder: so that it compares texts only where they are likely the same.
    tag: EntryTag,
    kind: FieldKind,
    is_valid: bool,
}

impl TableEntry {
    fn size(&self) -> usize {
        self.name_len as usize + self.value_len as usize + FIELD_OVERHEAD_BYTES
    }
}

/// What an encoder finds an entry again by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct EntryTag {
    pub(super) hash: u32,
    /// The name's index in the static table; 0 where that has none, and the name has to be compared.
    pub(super) name_index: u8,
}

/// Text without an entry is not worth moving the rest below this.
const MAX_DEAD_BYTES: usize = 256;

impl DynamicTable {
    pub(super) const fn new(max_size: usize) -> DynamicTable {
        DynamicTable { text: Vec::new(), entries: VecDeque::new(), size: 0, max_size }
    }

    pub(super) fn max_size(&self) -> usize {
        self.max_size
    }

    /// RFC 7541 §4.1.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// The entry that came in as the last but so many.
    pub(super) fn field(&self, index: usize) -> Option<TableField<'_>> {
        let entry = self.entries.get(index)?;
        let (name, value) = self.text_of(entry)?;
        Some(TableField { name, value, kind: entry.kind, is_valid: entry.is_valid })
    }

    /// The newest entry of this tag, name and value. The name may have any case.
    pub(super) fn find(&self, tag: EntryTag, name: &[u8], value: &[u8]) -> Option<usize> {
        let is_name = |known: &[u8]| tag.name_index > 0 || known.eq_ignore_ascii_case(name);
        let is_it = |entry: &TableEntry| {
            entry.tag == tag && self.text_of(entry).is_some_and(|(known, its)| its == value && is_name(known))
        };
        self.entries.iter().position(is_it)
    }

    /// RFC 7541 §4.3.
    pub(super) fn set_max_size(&mut self, max_size: usize) {
        self.max_size = max_size;
        self.evict(max_size);
    }

    /// RFC 7541 §4.4: a field that is larger than the table empties it.
    pub(super) fn insert(&mut self, field: TableField<'_>, tag: EntryTag) {
        let TableField { name, value, kind, is_valid } = field;
        let size = name.len() + value.len() + FIELD_OVERHEAD_BYTES;
        let Some(room) = self.max_size.checked_sub(size) else { return self.evict(0) };
        self.evict(room);
        self.compact_if_worth_it();
        // Text of a table is under twice its size, which a u32 holds: a setting has no more bits.
        let entry = TableEntry {
            at: self.text.len() as u32,
            name_len: name.len() as u32,
            value_len: value.len() as u32,
            tag,
            kind,
            is_valid,
        };
        self.text.extend_from_slice(name);
        self.text.extend_from_slice(value);
        self.entries.push_front(entry);
        self.size += size;
    }

    /// The bytes that it holds in memory.
    #[cfg(any(test, fuzzing))]
    pub(super) fn held(&self) -> usize {
        self.text.capacity() + self.entries.capacity() * size_of::<TableEntry>()
    }

    fn text_of(&self, entry: &TableEntry) -> Option<(&[u8], &[u8])> {
        let text = self.text.get(entry.at as usize..)?;
        text.get(..entry.name_len as usize + entry.value_len as usize)?.split_at_checked(entry.name_len as usize)
    }

    /// RFC 7541 §4.3 and §4.4: the oldest go until no more than this is left.
    fn evict(&mut self, left: usize) {
        while self.size > left {
            let Some(oldest) = self.entries.pop_back() else { break };
            self.size -= oldest.size();
        }
        if self.entries.is_empty() {
            *self = DynamicTable::new(self.max_size);
        }
    }

    fn compact_if_worth_it(&mut self) {
        let dead = self.entries.back().map_or(0, |oldest| oldest.at as usize);
        if dead <= MAX_DEAD_BYTES || dead <= self.text.len() - dead {
            return;
        }
        self.text.drain(..dead);
        for entry in &mut self.entries {
            entry.at -= dead as u32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insert(table: &mut DynamicTable, name: &[u8], value: &[u8]) {
        table.insert(TableField { name, value, kind: FieldKind::of(name), is_valid: true }, EntryTag::default());
    }

    fn shown(table: &DynamicTable) -> Vec<(Vec<u8>, Vec<u8>)> {
        (0..).map_while(|index| table.field(index)).map(|field| (field.name.to_vec(), field.value.to_vec())).collect()
    }

    #[test]
    fn the_oldest_go_where_there_is_no_room_and_too_large_a_field_empties_it() {
        let mut table = DynamicTable::new(2 * (2 + FIELD_OVERHEAD_BYTES));
        for name in [b"a", b"b", b"c"] {
            insert(&mut table, name, b"1");
        }
        assert_eq!(shown(&table), [(b"c".to_vec(), b"1".to_vec()), (b"b".to_vec(), b"1".to_vec())]);
        insert(&mut table, b"name", &[b'x'; 100]);
        assert_eq!((shown(&table), table.held()), (vec![], 0));
    }

    #[test]
    fn a_smaller_table_keeps_the_newest() {
        let mut table = DynamicTable::new(4096);
        for name in [b"a", b"b", b"c"] {
            insert(&mut table, name, b"");
        }
        table.set_max_size(2 * 33 + 32);
        assert_eq!(shown(&table).len(), 2);
        table.set_max_size(0);
        assert_eq!((shown(&table), table.held()), (vec![], 0));
    }

    #[test]
    fn its_text_is_what_came_in_however_often_it_is_moved_and_its_memory_is_bounded() {
        let mut table = DynamicTable::new(4096);
        let mut model: VecDeque<(Vec<u8>, Vec<u8>)> = VecDeque::new();
        for n in 0..20_000_usize {
            let (name, value) = (format!("name-{n}").into_bytes(), vec![b'v'; n * 7 % 900]);
            insert(&mut table, &name, &value);
            model.push_front((name, value));
            let size = |fields: &VecDeque<(Vec<u8>, Vec<u8>)>| -> usize {
                fields.iter().map(|(name, value)| name.len() + value.len() + FIELD_OVERHEAD_BYTES).sum()
            };
            while size(&model) > 4096 {
                model.pop_back();
            }
            if n % 97 == 0 {
                assert!(shown(&table).iter().eq(&model), "after {n}");
            }
        }
        assert!(table.held() < 6 * 4096, "{} bytes", table.held());
    }
}
