//! The coding `deflate` (RFC 9110 §8.4.1.2), and the compressed bytes inside of it and of gzip.

use flate2::{Decompress, FlushDecompress, Status};

use super::{Decode, Fault};

/// Compressed bytes (RFC 1951), with or without what zlib puts around them.
pub(super) struct Inflate(Decompress);

/// How far the compressed bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inflated {
    On,
    AtEnd,
}

impl Inflate {
    pub(super) fn bare() -> Inflate {
        Inflate(Decompress::new(false))
    }

    /// With a head, and a checksum that is compared at the end (RFC 1950).
    fn with_zlib() -> Inflate {
        Inflate(Decompress::new(true))
    }

    /// Begins another one, in the same memory.
    pub(super) fn restart(&mut self) {
        self.0.reset(false);
    }

    pub(super) fn inflate(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<(usize, Inflated), Fault> {
        let before = self.0.total_in();
        let status = self.0.decompress_vec(input, output, FlushDecompress::None).map_err(|_| "it is corrupt")?;
        let taken = usize::try_from(self.0.total_in().saturating_sub(before)).unwrap_or(usize::MAX);
        Ok((taken, if status == Status::StreamEnd { Inflated::AtEnd } else { Inflated::On }))
    }
}

/// Content in the coding `deflate`. It should be zlib's format, and some send bare compressed bytes:
/// the first two bytes tell.
pub(super) struct Deflate {
    state: State,
}

enum State {
    Start(Option<u8>),
    Inflating(Box<Inflate>),
    Ended,
}

impl Deflate {
    pub(super) fn new() -> Deflate {
        Deflate { state: State::Start(None) }
    }
}

impl Decode for Deflate {
    fn decode(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<usize, Fault> {
        match &mut self.state {
            State::Start(None) => {
                self.state = State::Start(input.first().copied());
                Ok(input.len().min(1))
            }
            State::Start(Some(first)) => {
                let first = *first;
                let Some(&second) = input.first() else { return Ok(0) };
                let is_zlib = is_zlib_head(first, second);
                let mut inflate = Box::new(if is_zlib { Inflate::with_zlib() } else { Inflate::bare() });
                // One byte has no output yet, in either form.
                inflate.inflate(&[first], output)?;
                self.state = State::Inflating(inflate);
                self.decode(input, output)
            }
            State::Inflating(inflate) => {
                let (taken, how_far) = inflate.inflate(input, output)?;
                if how_far == Inflated::AtEnd {
                    self.state = State::Ended;
                }
                Ok(taken)
            }
            State::Ended if input.is_empty() => Ok(0),
            State::Ended => Err("there is something behind its end"),
        }
    }

    fn is_whole(&self) -> bool {
        matches!(self.state, State::Ended)
    }
}

/// RFC 1950 §2.2: deflate as the method, and a check over both bytes.
fn is_zlib_head(first: u8, second: u8) -> bool {
    first & 0x0f == 8 && u16::from_be_bytes([first, second]) % 31 == 0
}
