//! Blocks as lists of owned text, for tests and for fuzzing.

use super::super::field_kind::FieldKind;
use super::decoder::{FieldSink, ListLimits};
use super::encoder::HpackEncoder;
use super::integer;

/// A name and its value.
pub(crate) type TextPair = (Vec<u8>, Vec<u8>);

/// Limits that no block reaches.
pub(crate) const NO_LIMITS: ListLimits = ListLimits { max_bytes: usize::MAX, max_fields: usize::MAX };

/// Keeps every field as it came.
#[derive(Debug, Default)]
pub(crate) struct KeptFields {
    pub(crate) text: Vec<u8>,
    pub(crate) fields: Vec<TextPair>,
    pub(crate) kinds: Vec<(FieldKind, bool)>,
}

impl FieldSink for KeptFields {
    fn text(&mut self) -> &mut Vec<u8> {
        &mut self.text
    }

    fn push(&mut self, kind: FieldKind, is_valid: bool, at: usize, name_len: usize) {
        let (name, value) = self.text[at..].split_at(name_len);
        self.fields.push((name.to_vec(), value.to_vec()));
        self.kinds.push((kind, is_valid));
    }
}

/// A block of these fields.
pub(crate) fn encoded(encoder: &mut HpackEncoder, fields: &[TextPair]) -> Vec<u8> {
    let mut block = Vec::new();
    encoder.begin(&mut block);
    for (name, value) in fields {
        encoder.field(&mut block, FieldKind::of(name), name, value);
    }
    block
}

/// What a block begins with that changes the table's size (RFC 7541 §6.3).
pub(crate) fn table_size_change(size: usize) -> Vec<u8> {
    let mut block = Vec::new();
    integer::write(&mut block, 0x20, 5, size);
    block
}
