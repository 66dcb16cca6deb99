//! Brotli (RFC 7932).

use std::io::Write as _;
use std::mem;

use brotli::enc::StandardAlloc;
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState, CompressorWriter};

use super::decode::{Decode, DecodeFault};
use super::encode::{CompressionLevel, Encode, EncodeFault};

/// Content in the coding `br`.
pub(super) struct Brotli {
    state: Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>,
    is_whole: bool,
}

impl Brotli {
    /// With windows of 16 MiB at most: larger ones are not of RFC 7932.
    pub(super) fn new() -> Brotli {
        let alloc = StandardAlloc::default;
        Brotli { state: Box::new(BrotliState::new_strict(alloc(), alloc(), alloc())), is_whole: false }
    }
}

impl Decode for Brotli {
    fn decode(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<usize, DecodeFault> {
        if self.is_whole {
            return if input.is_empty() { Ok(0) } else { Err("there is something behind its end") };
        }
        let (mut left, mut taken) = (input.len(), 0);
        let mut written = output.len();
        output.resize(output.capacity(), 0);
        let (mut room, mut total) = (output.len().saturating_sub(written), 0);
        let result = BrotliDecompressStream(
            &mut left,
            &mut taken,
            input,
            &mut room,
            &mut written,
            output,
            &mut total,
            &mut self.state,
        );
        output.truncate(written);
        match result {
            BrotliResult::ResultFailure => Err("it is corrupt"),
            BrotliResult::ResultSuccess => {
                self.is_whole = true;
                Ok(taken)
            }
            BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => Ok(taken),
        }
    }

    fn is_whole(&self) -> bool {
        self.is_whole
    }
}

/// Content that gets the coding `br`.
pub(super) struct BrotliEncoder {
    /// `None` once the content has ended.
    writer: Option<CompressorWriter<Vec<u8>>>,
}

/// The window, as a power of two: 256 KiB. Larger ones cost memory for each response, and make text little
/// smaller.
const WINDOW_LOG: u32 = 18;

/// How much is encoded before it is handed over.
const ENCODER_BUFFER_BYTES: usize = 8 * 1024;

impl BrotliEncoder {
    pub(super) fn new(level: CompressionLevel) -> BrotliEncoder {
        let quality = match level {
            CompressionLevel::Fastest => 1,
            CompressionLevel::Default => 4,
            CompressionLevel::Best => 8,
        };
        let writer = CompressorWriter::new(Vec::new(), ENCODER_BUFFER_BYTES, quality, WINDOW_LOG);
        BrotliEncoder { writer: Some(writer) }
    }

    /// Lets the encoder work, and fetches what it has made.
    fn with_writer(
        &mut self,
        out: &mut Vec<u8>,
        act: impl FnOnce(&mut CompressorWriter<Vec<u8>>) -> std::io::Result<()>,
    ) -> Result<(), EncodeFault> {
        let writer = self.writer.as_mut().ok_or("the content has ended")?;
        // The output is lent to the writer, which appends to it.
        mem::swap(writer.get_mut(), out);
        let done = act(writer);
        mem::swap(writer.get_mut(), out);
        done.map_err(|_| "the Brotli encoder failed")
    }
}

impl Encode for BrotliEncoder {
    fn encode(&mut self, content: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        self.with_writer(out, |writer| writer.write_all(content))
    }

    fn flush(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        self.with_writer(out, std::io::Write::flush)
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        let mut writer = self.writer.take().ok_or("the content has ended")?;
        mem::swap(writer.get_mut(), out);
        *out = writer.into_inner();
        Ok(())
    }
}
