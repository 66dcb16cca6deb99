//! Decoder and encoder by what RFC 7541 shows and says.

mod appendix_c;
mod blocks;
mod stories;

use super::super::field_kind::FieldKind;
use super::{DecodedList, FieldSink, HpackDecoder, HpackEncoder, HpackFault, ListLimits};

pub(super) const LIMITS: ListLimits = ListLimits { max_bytes: 1 << 20, max_fields: 1000 };

/// A name and its value.
pub(super) type TextPair = (Vec<u8>, Vec<u8>);

/// Keeps every field as it came.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) text: Vec<u8>,
    pub(super) fields: Vec<TextPair>,
    pub(super) kinds: Vec<(FieldKind, bool)>,
}

impl FieldSink for Kept {
    fn text(&mut self) -> &mut Vec<u8> {
        &mut self.text
    }

    fn push(&mut self, kind: FieldKind, is_valid: bool, at: usize, name_len: usize) {
        let (name, value) = self.text[at..].split_at(name_len);
        self.fields.push((name.to_vec(), value.to_vec()));
        self.kinds.push((kind, is_valid));
    }
}

pub(super) fn decode(decoder: &mut HpackDecoder, block: &[u8]) -> Result<Vec<TextPair>, HpackFault> {
    decode_within(decoder, block, LIMITS).map(|(fields, _)| fields)
}

pub(super) fn decode_within(
    decoder: &mut HpackDecoder,
    block: &[u8],
    limits: ListLimits,
) -> Result<(Vec<TextPair>, DecodedList), HpackFault> {
    let mut kept = Kept::default();
    let list = decoder.decode(block, limits, &mut kept)?;
    Ok((kept.fields, list))
}

pub(super) fn encode(encoder: &mut HpackEncoder, fields: &[TextPair]) -> Vec<u8> {
    let mut block = Vec::new();
    encoder.begin(&mut block);
    for (name, value) in fields {
        encoder.field(&mut block, FieldKind::of(name), name, value);
    }
    block
}

pub(super) fn pairs(fields: &[(&str, &str)]) -> Vec<TextPair> {
    fields.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}

pub(super) fn unhex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

/// The same numbers in each run.
#[derive(Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.next() as usize % end
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}
