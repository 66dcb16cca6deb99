//! gzip (RFC 1952): one member after the other, each with a head, compressed bytes, a checksum and
//! a length.
//!
//! The heads are read here, byte by byte, and not by zlib: one state in one buffer serves all
//! members. There may be tens of thousands of empty ones in a small message (Go's CVE-2022-30631).

use std::cell::RefCell;

use flate2::{Compress, Compression, Crc, Decompress, FlushCompress, FlushDecompress, Status};

use super::decode::{Decode, DecodeFault};
use super::encode::{CompressionLevel, Encode, EncodeFault};

/// Content in the coding `gzip`.
pub(super) struct Gzip {
    state: GzipState,
    inflate: Inflate,
    /// Of what was decoded in this member.
    crc: Crc,
}

enum GzipState {
    Head(MemberHead),
    Content,
    /// The bytes of checksum and length that have come.
    End(Vec<u8>),
    /// After a member: here the content may end.
    Between,
}

/// A head, as far as it has come.
struct MemberHead {
    field: HeadField,
    flags: u8,
    crc: Crc,
}

/// The field that the next byte belongs to.
#[derive(Clone, Copy)]
enum HeadField {
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

const NO_HEAD: DecodeFault = "it does not begin as it must";
const GARBAGE: DecodeFault = "there is something behind its end";
const BAD_CHECKSUM: DecodeFault = "its checksum is wrong";

impl Gzip {
    pub(super) fn new() -> Gzip {
        Gzip { state: GzipState::Head(MemberHead::new()), inflate: Inflate::bare(), crc: Crc::new() }
    }

    /// As much as the state allows; the rest of `input` is for the next state.
    fn step(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<usize, DecodeFault> {
        match &mut self.state {
            GzipState::Head(head) => {
                let taken = head.read(input)?;
                if matches!(head.field, HeadField::Over) {
                    self.state = GzipState::Content;
                }
                Ok(taken)
            }
            GzipState::Content => {
                let before = output.len();
                let (taken, how_far) = self.inflate.inflate(input, output)?;
                self.crc.update(output.get(before..).unwrap_or_default());
                if how_far == Inflated::AtEnd {
                    self.state = GzipState::End(Vec::with_capacity(8));
                }
                Ok(taken)
            }
            GzipState::End(bytes) => {
                let taken = input.len().min(8_usize.saturating_sub(bytes.len()));
                bytes.extend_from_slice(input.get(..taken).unwrap_or_default());
                if bytes.len() == 8 {
                    let is_right =
                        bytes[..4] == self.crc.sum().to_le_bytes() && bytes[4..] == self.crc.amount().to_le_bytes();
                    self.state = GzipState::Between;
                    return if is_right { Ok(taken) } else { Err(BAD_CHECKSUM) };
                }
                Ok(taken)
            }
            GzipState::Between => {
                if input.first() != Some(&0x1f) {
                    return Err(GARBAGE);
                }
                self.inflate.restart();
                self.crc.reset();
                self.state = GzipState::Head(MemberHead::new());
                Ok(0)
            }
        }
    }
}

impl Decode for Gzip {
    fn decode(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<usize, DecodeFault> {
        if input.is_empty() {
            return if matches!(self.state, GzipState::Content) { self.step(input, output) } else { Ok(0) };
        }
        let mut rest = input;
        while !rest.is_empty() && output.len() < output.capacity() {
            let before = output.len();
            let was_content = matches!(self.state, GzipState::Content);
            let taken = self.step(rest, output)?;
            rest = rest.get(taken..).unwrap_or_default();
            if was_content && taken == 0 && output.len() == before && matches!(self.state, GzipState::Content) {
                break;
            }
        }
        Ok(input.len().saturating_sub(rest.len()))
    }

    fn is_whole(&self) -> bool {
        matches!(self.state, GzipState::Between)
    }
}

impl MemberHead {
    fn new() -> MemberHead {
        MemberHead { field: HeadField::Fixed(0), flags: 0, crc: Crc::new() }
    }

    /// Takes bytes until the head is over.
    fn read(&mut self, input: &[u8]) -> Result<usize, DecodeFault> {
        for (at, &byte) in input.iter().enumerate() {
            let next = self.read_byte(byte)?;
            self.field = self.present(next);
            if matches!(self.field, HeadField::Over) {
                return Ok(at.saturating_add(1));
            }
        }
        Ok(input.len())
    }

    fn read_byte(&mut self, byte: u8) -> Result<HeadField, DecodeFault> {
        if !matches!(self.field, HeadField::Checksum(_)) {
            self.crc.update(&[byte]);
        }
        Ok(match self.field {
            HeadField::Fixed(at) => {
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
                if at < 9 { HeadField::Fixed(at.saturating_add(1)) } else { HeadField::ExtraLength(None) }
            }
            HeadField::ExtraLength(None) => HeadField::ExtraLength(Some(byte)),
            HeadField::ExtraLength(Some(low)) => match u16::from_le_bytes([low, byte]) {
                0 => HeadField::Name,
                length => HeadField::Extra(length),
            },
            HeadField::Extra(length) if length > 1 => HeadField::Extra(length.saturating_sub(1)),
            HeadField::Extra(_) => HeadField::Name,
            HeadField::Name => {
                if byte == 0 {
                    HeadField::Comment
                } else {
                    HeadField::Name
                }
            }
            HeadField::Comment => {
                if byte == 0 {
                    HeadField::Checksum(None)
                } else {
                    HeadField::Comment
                }
            }
            HeadField::Checksum(None) => HeadField::Checksum(Some(byte)),
            HeadField::Checksum(Some(low)) => {
                let [first, second, ..] = self.crc.sum().to_le_bytes();
                if [low, byte] != [first, second] {
                    return Err(BAD_CHECKSUM);
                }
                HeadField::Over
            }
            HeadField::Over => HeadField::Over,
        })
    }

    /// This field, or the first after it that the flags announce.
    fn present(&self, field: HeadField) -> HeadField {
        let has = |flag: u8| self.flags & flag != 0;
        match field {
            HeadField::ExtraLength(None) if !has(HAS_EXTRA) => self.present(HeadField::Name),
            HeadField::Name if !has(HAS_NAME) => self.present(HeadField::Comment),
            HeadField::Comment if !has(HAS_COMMENT) => self.present(HeadField::Checksum(None)),
            HeadField::Checksum(None) if !has(HAS_CHECKSUM) => HeadField::Over,
            present => present,
        }
    }
}

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

    pub(super) fn inflate(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<(usize, Inflated), DecodeFault> {
        let before = self.0.total_in();
        let status = self.0.decompress_vec(input, output, FlushDecompress::None).map_err(|_| "it is corrupt")?;
        let taken = usize::try_from(self.0.total_in().saturating_sub(before)).unwrap_or(usize::MAX);
        Ok((taken, if status == Status::StreamEnd { Inflated::AtEnd } else { Inflated::On }))
    }
}

/// Content in the coding `deflate`. It should be zlib's format, and some send bare compressed bytes:
/// the first two bytes tell.
pub(super) struct Deflate {
    state: DeflateState,
}

enum DeflateState {
    Start(Option<u8>),
    Inflating(Box<Inflate>),
    Ended,
}

impl Deflate {
    pub(super) fn new() -> Deflate {
        Deflate { state: DeflateState::Start(None) }
    }
}

impl Decode for Deflate {
    fn decode(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<usize, DecodeFault> {
        match &mut self.state {
            DeflateState::Start(None) => {
                self.state = DeflateState::Start(input.first().copied());
                Ok(input.len().min(1))
            }
            DeflateState::Start(Some(first)) => {
                let first = *first;
                let Some(&second) = input.first() else { return Ok(0) };
                let is_zlib = is_zlib_head(first, second);
                let mut inflate = Box::new(if is_zlib { Inflate::with_zlib() } else { Inflate::bare() });
                // One byte has no output yet, in either form.
                inflate.inflate(&[first], output)?;
                self.state = DeflateState::Inflating(inflate);
                self.decode(input, output)
            }
            DeflateState::Inflating(inflate) => {
                let (taken, how_far) = inflate.inflate(input, output)?;
                if how_far == Inflated::AtEnd {
                    self.state = DeflateState::Ended;
                }
                Ok(taken)
            }
            DeflateState::Ended if input.is_empty() => Ok(0),
            DeflateState::Ended => Err("there is something behind its end"),
        }
    }

    fn is_whole(&self) -> bool {
        matches!(self.state, DeflateState::Ended)
    }
}

/// RFC 1950 §2.2: deflate as the method, and a check over both bytes.
fn is_zlib_head(first: u8, second: u8) -> bool {
    first & 0x0f == 8 && u16::from_be_bytes([first, second]) % 31 == 0
}

/// Content that gets the coding `gzip`, as one member.
pub(super) struct GzipEncoder {
    level: CompressionLevel,
    /// `None` once it is given back.
    deflate: Option<Compress>,
    /// Of what was encoded.
    crc: Crc,
    has_head: bool,
}

/// Room in the output at least, so that a flush comes out at once.
const MIN_ROOM_BYTES: usize = 1024;

/// RFC 1952 §2.3: deflate, no flags, no time, made by a system that is not told.
const MEMBER_HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// How many unused ones a thread keeps: each has some 300 KiB, which take longer to get than a short text
/// takes to be encoded.
const MAX_FREE_COUNT: usize = 4;

thread_local! {
    static FREE: RefCell<Vec<(CompressionLevel, Compress)>> = const { RefCell::new(Vec::new()) };
}

impl GzipEncoder {
    pub(super) fn new(level: CompressionLevel) -> GzipEncoder {
        let free = FREE.try_with(|free| {
            let mut free = free.borrow_mut();
            let at = free.iter().position(|(of, _)| *of == level)?;
            Some(free.swap_remove(at).1)
        });
        let deflate = free.ok().flatten().unwrap_or_else(|| Compress::new(gzip_level(level), false));
        GzipEncoder { level, deflate: Some(deflate), crc: Crc::new(), has_head: false }
    }

    fn run(&mut self, mut content: &[u8], flush: FlushCompress, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        if !self.has_head {
            self.has_head = true;
            out.extend_from_slice(&MEMBER_HEAD);
        }
        let deflate = self.deflate.as_mut().ok_or("the content has ended")?;
        loop {
            out.reserve(MIN_ROOM_BYTES);
            let before = deflate.total_in();
            let status = deflate.compress_vec(content, out, flush).map_err(|_| "the gzip encoder failed")?;
            let taken = usize::try_from(deflate.total_in().saturating_sub(before)).unwrap_or(usize::MAX);
            content = content.get(taken..).unwrap_or_default();
            // With room left in the output the encoder has done all that was asked for.
            let has_room = out.len() < out.capacity();
            let is_done = match flush {
                FlushCompress::Finish => status == Status::StreamEnd,
                _ => content.is_empty() && has_room,
            };
            if is_done {
                return Ok(());
            }
        }
    }
}

impl Encode for GzipEncoder {
    fn encode(&mut self, content: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        self.crc.update(content);
        self.run(content, FlushCompress::None, out)
    }

    fn flush(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        self.run(&[], FlushCompress::Sync, out)
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeFault> {
        self.run(&[], FlushCompress::Finish, out)?;
        out.extend_from_slice(&self.crc.sum().to_le_bytes());
        out.extend_from_slice(&self.crc.amount().to_le_bytes());
        Ok(())
    }
}

impl Drop for GzipEncoder {
    fn drop(&mut self) {
        let Some(mut deflate) = self.deflate.take() else { return };
        // `try_with`: a thread that ends may drop a response after this list.
        let _ = FREE.try_with(|free| {
            let mut free = free.borrow_mut();
            if free.len() < MAX_FREE_COUNT {
                deflate.reset();
                free.push((self.level, deflate));
            }
        });
    }
}

fn gzip_level(level: CompressionLevel) -> Compression {
    Compression::new(match level {
        CompressionLevel::Fastest => 1,
        CompressionLevel::Default => 5,
        CompressionLevel::Best => 9,
    })
}
