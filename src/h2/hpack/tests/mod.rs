//! Decoder and encoder by what RFC 7541 shows and says.

mod appendix_c;
mod blocks;
mod stories;

use super::super::field_kind::FieldKind;
use super::kept_fields::TextPair;
use super::{
    DecodedList, HpackDecoder, HpackEncoder, HpackFault, KeptFields, ListLimits, NO_LIMITS, encoded, table_size_change,
};

pub(super) const LIMITS: ListLimits = NO_LIMITS;

pub(super) fn decode(decoder: &mut HpackDecoder, block: &[u8]) -> Result<Vec<TextPair>, HpackFault> {
    decode_within(decoder, block, LIMITS).map(|(fields, _)| fields)
}

pub(super) fn decode_within(
    decoder: &mut HpackDecoder,
    block: &[u8],
    limits: ListLimits,
) -> Result<(Vec<TextPair>, DecodedList), HpackFault> {
    let mut kept = KeptFields::default();
    let list = decoder.decode(block, limits, &mut kept)?;
    Ok((kept.fields, list))
}

pub(super) fn encode(encoder: &mut HpackEncoder, fields: &[TextPair]) -> Vec<u8> {
    encoded(encoder, fields)
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
