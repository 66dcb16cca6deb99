//! Zstandard (RFC 8878): one frame after the other.

use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use super::decode::{Decode, DecodeFault};

/// RFC 9659: in HTTP a window is of 8 MiB at most.
const MAX_WINDOW_LOG: u32 = 23;

/// Content in the coding `zstd`.
pub(super) struct Zstandard {
    decoder: Decoder<'static>,
    /// Whether a frame has just ended.
    is_whole: bool,
}

impl Zstandard {
    pub(super) fn new() -> Result<Zstandard, DecodeFault> {
        let mut decoder = Decoder::new().map_err(|_| "no memory is left")?;
        decoder.set_parameter(DParameter::WindowLogMax(MAX_WINDOW_LOG)).map_err(|_| "its window cannot be limited")?;
        Ok(Zstandard { decoder, is_whole: false })
    }
}

impl Decode for Zstandard {
    fn decode(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<usize, DecodeFault> {
        let before = output.len();
        let mut from = InBuffer::around(input);
        let mut to = OutBuffer::around_pos(output, before);
        let wanted = self.decoder.run(&mut from, &mut to).map_err(|_| "it is corrupt, or its window is over 8 MiB")?;
        let taken = from.pos();
        // Without input and output the decoder has looked for the next frame, and its answer says nothing
        // about the one that has ended.
        if taken > 0 || output.len() > before {
            self.is_whole = wanted == 0;
        }
        Ok(taken)
    }

    fn is_whole(&self) -> bool {
        self.is_whole
    }
}
