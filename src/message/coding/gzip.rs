//! gzip (RFC 1952): one member after the other, each with a head, compressed bytes, a checksum and
//! a length.
//!
//! The heads are read here, byte by byte, and not by zlib: one state in one buffer serves all
//! members. There may be tens of thousands of empty ones in a small message (Go's CVE-2022-30631).

use flate2::Crc;

use super::deflate::{Inflate, Inflated};
use super::{Decode, Fault};

/// Content in the coding `gzip`.
pub(super) struct Gzip {
    state: State,
    inflate: Inflate,
    /// Of what was decoded in this member.
    crc: Crc,
}

enum State {
    Head(Head),
    Content,
    /// What has come of checksum and length.
    End(Vec<u8>),
    /// Behind a member: here the content may end.
    Between,
}

/// A head, as far as it has come.
struct Head {
    field: Field,
    flags: u8,
    crc: Crc,
}

/// What the next byte belongs to.
#[derive(Clone, Copy)]
enum Field {
    /// The first ten bytes, by number.
    Fixed(u8),
    ExtraLength(Option<u8>),
    Extra(u16),
    Name,
    Comment,
    Checksum(Option<u8>),
    /// Nothing: the head is over.
    Over,
}

const HAS_CHECKSUM: u8 = 1 << 1;
const HAS_EXTRA: u8 = 1 << 2;
const HAS_NAME: u8 = 1 << 3;
const HAS_COMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0b1110_0000;

const NO_HEAD: Fault = "it does not begin as it must";
const GARBAGE: Fault = "there is something behind its end";
const BAD_CHECKSUM: Fault = "its checksum is wrong";

impl Gzip {
    pub(super) fn new() -> Gzip {
        Gzip { state: State::Head(Head::new()), inflate: Inflate::bare(), crc: Crc::new() }
    }

    /// As much as the state allows; the rest of `input` is for the next state.
    fn step(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<usize, Fault> {
        match &mut self.state {
            State::Head(head) => {
                let taken = head.read(input)?;
                if matches!(head.field, Field::Over) {
                    self.state = State::Content;
                }
                Ok(taken)
            }
            State::Content => {
                let before = output.len();
                let (taken, how_far) = self.inflate.inflate(input, output)?;
                self.crc.update(output.get(before..).unwrap_or_default());
                if how_far == Inflated::AtEnd {
                    self.state = State::End(Vec::with_capacity(8));
                }
                Ok(taken)
            }
            State::End(bytes) => {
                let taken = input.len().min(8_usize.saturating_sub(bytes.len()));
                bytes.extend_from_slice(input.get(..taken).unwrap_or_default());
                if bytes.len() == 8 {
                    let is_right =
                        bytes[..4] == self.crc.sum().to_le_bytes() && bytes[4..] == self.crc.amount().to_le_bytes();
                    self.state = State::Between;
                    return if is_right { Ok(taken) } else { Err(BAD_CHECKSUM) };
                }
                Ok(taken)
            }
            State::Between => {
                if input.first() != Some(&0x1f) {
                    return Err(GARBAGE);
                }
                self.inflate.restart();
                self.crc.reset();
                self.state = State::Head(Head::new());
                Ok(0)
            }
        }
    }
}

impl Decode for Gzip {
    fn decode(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<usize, Fault> {
        if input.is_empty() {
            return if matches!(self.state, State::Content) { self.step(input, output) } else { Ok(0) };
        }
        let mut rest = input;
        while !rest.is_empty() && output.len() < output.capacity() {
            let before = output.len();
            let was_content = matches!(self.state, State::Content);
            let taken = self.step(rest, output)?;
            rest = rest.get(taken..).unwrap_or_default();
            if was_content && taken == 0 && output.len() == before && matches!(self.state, State::Content) {
                break;
            }
        }
        Ok(input.len().saturating_sub(rest.len()))
    }

    fn is_whole(&self) -> bool {
        matches!(self.state, State::Between)
    }
}

impl Head {
    fn new() -> Head {
        Head { field: Field::Fixed(0), flags: 0, crc: Crc::new() }
    }

    /// Takes bytes until the head is over.
    fn read(&mut self, input: &[u8]) -> Result<usize, Fault> {
        for (at, &byte) in input.iter().enumerate() {
            let next = self.read_byte(byte)?;
            self.field = self.present(next);
            if matches!(self.field, Field::Over) {
                return Ok(at.saturating_add(1));
            }
        }
        Ok(input.len())
    }

    fn read_byte(&mut self, byte: u8) -> Result<Field, Fault> {
        if !matches!(self.field, Field::Checksum(_)) {
            self.crc.update(&[byte]);
        }
        Ok(match self.field {
            Field::Fixed(at) => {
                let is_right = match at {
                    0 => byte == 0x1f,
                    1 => byte == 0x8b,
                    2 => byte == 8,
                    3 => byte & RESERVED == 0,
                    _ => true,
                };
                if !is_right {
                    return Err(NO_HEAD);
                }
                if at == 3 {
                    self.flags = byte;
                }
                if at < 9 { Field::Fixed(at.saturating_add(1)) } else { Field::ExtraLength(None) }
            }
            Field::ExtraLength(None) => Field::ExtraLength(Some(byte)),
            Field::ExtraLength(Some(low)) => match u16::from_le_bytes([low, byte]) {
                0 => Field::Name,
                length => Field::Extra(length),
            },
            Field::Extra(length) if length > 1 => Field::Extra(length.saturating_sub(1)),
            Field::Extra(_) => Field::Name,
            Field::Name => {
                if byte == 0 {
                    Field::Comment
                } else {
                    Field::Name
                }
            }
            Field::Comment => {
                if byte == 0 {
                    Field::Checksum(None)
                } else {
                    Field::Comment
                }
            }
            Field::Checksum(None) => Field::Checksum(Some(byte)),
            Field::Checksum(Some(low)) => {
                let [first, second, ..] = self.crc.sum().to_le_bytes();
                if [low, byte] != [first, second] {
                    return Err(BAD_CHECKSUM);
                }
                Field::Over
            }
            Field::Over => Field::Over,
        })
    }

    /// This field, or the first behind it that the flags announce.
    fn present(&self, field: Field) -> Field {
        let has = |flag: u8| self.flags & flag != 0;
        match field {
            Field::ExtraLength(None) if !has(HAS_EXTRA) => self.present(Field::Name),
            Field::Name if !has(HAS_NAME) => self.present(Field::Comment),
            Field::Comment if !has(HAS_COMMENT) => self.present(Field::Checksum(None)),
            Field::Checksum(None) if !has(HAS_CHECKSUM) => Field::Over,
            present => present,
        }
    }
}
