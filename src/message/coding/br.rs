//! Brotli (RFC 7932).

use brotli::enc::StandardAlloc;
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};

use super::decode::{Decode, DecodeFault};

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
