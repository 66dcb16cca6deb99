//! Header blocks are what the slow reference decodes, and what is encoded here decodes to what it was.

use nethttp::fuzzing::{FuzzHpackDecoder, FuzzHpackEncoder};

use crate::input::Input;
use crate::reference::hpack::Decoder;

/// The first byte chooses the table's limit; each block is as long as the byte before it says.
pub fn check(data: &[u8]) {
    let mut input = Input(data);
    let limit = input.pick(&[4096, 0, 60, 256, 65_536]);
    let (mut decoder, mut reference) = (FuzzHpackDecoder::new(limit), Decoder::new(limit));
    let (mut encoder, mut own) = (FuzzHpackEncoder::default(), Decoder::new(4096));
    while !input.is_empty() {
        let block = input.piece();
        let (decoded, expected) = (decoder.decode(block), reference.decode(block));
        assert_eq!(decoded.as_ref().ok(), expected.as_ref(), "{block:02x?}: {decoded:?}");
        let Some(fields) = expected else { return };
        let mut encoded = fields.clone();
        encoded.iter_mut().for_each(|(name, _)| name.make_ascii_lowercase());
        assert_eq!(own.decode(&encoder.encode(&fields, block.len() * 40)), Some(encoded), "{fields:?}");
    }
}
