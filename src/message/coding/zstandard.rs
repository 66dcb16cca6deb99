//! Zstandard (RFC 8878): one frame after the other.

use zstd::stream::raw::{CParameter, DParameter, Decoder, Encoder, InBuffer, Operation, OutBuffer};

use super::decode::{Decode, DecodeFault};
use super::encode::{CompressionLevel, Encode, EncodeFault};

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

/// Content that gets the coding `zstd`, as one frame.
pub(super) struct ZstandardEncoder(Encoder<'static>);

/// The window, as a power of two: 512 KiB. Larger ones cost memory for each response, and make text little
/// smaller.
const WINDOW_LOG: u32 = 19;

/// Room in the output at least, so that a flush comes out at once.
const MIN_ROOM_BYTES: usize = 1024;

const ENCODER_FAULT: EncodeFault = "the Zstandard encoder failed";

impl ZstandardEncoder {
    /// `None` where no memory is left.
    pub(super) fn new(level: CompressionLevel) -> Option<ZstandardEncoder> {
        let level = match level {
            CompressionLevel::Fastest => 1,
            CompressionLevel::Default => 3,
            CompressionLevel::Best => 12,
        };
        let mut encoder = Encoder::new(level).ok()?;
        encoder.set_parameter(CParameter::WindowLog(WINDOW_LOG)).ok()?;
        // What is sent over a connection is checked by that; so many bytes less for each response.
        encoder.set_parameter(CParameter::ChecksumFlag(false)).ok()?;
        Some(ZstandardEncoder(encoder))
    }

    /// Calls a step that says how much is left of it, until nothing is.
    fn drain(
        &mut self,
        out: &mut Vec<u8>,
        step: impl Fn(&mut Encoder<'static>, &mut OutBuffer<'_, Vec<u8>>) -> std::io::Result<usize>,
    ) -> Result<(), EncodeFault> {
        loop {
            out.reserve(MIN_ROOM_BYTES);
            let at = out.len();
            let left = step(&mut self.0, &mut OutBuffer::around_pos(out, at)).map_err(|_| ENCODER_FAULT)?;
            if left == 0 {
                return Ok(());
            }
        }
    }
}

impl Encode for ZstandardEncoder {
    fn encode(&mut self, content: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        let mut from = InBuffer::around(content);
        while from.pos() < content.len() {
            out.reserve(MIN_ROOM_BYTES);
            let at = out.len();
            self.0.run(&mut from, &mut OutBuffer::around_pos(out, at)).map_err(|_| ENCODER_FAULT)?;
        }
        Ok(())
    }

    fn flush(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        self.drain(out, Operation::flush)
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        self.drain(out, |encoder, to| encoder.finish(to, true))
    }
}
