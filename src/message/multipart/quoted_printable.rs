//! Quoted-printable content of a part (RFC 2045 §6.7), decoded as it comes.

use std::mem;

use bytes::Bytes;

use super::boundary::Input;
use crate::error::Result;
use crate::message::form::malformed;

/// Takes the encoding off, piece by piece.
#[derive(Debug, Default)]
pub(super) struct QuotedPrintable {
    /// What cannot be decoded before more bytes arrive: an incomplete escape, or blanks that may end a line.
    undecided: Vec<u8>,
}

/// The longest run of blanks that is held back until it is known whether the line ends after it. A
/// line of mail has no more (RFC 5322 §2.1.1).
const MAX_BLANK_BYTES: usize = 998;

impl QuotedPrintable {
    /// Decodes the next piece. What comes of it may be nothing yet.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) for `=` without two hexadecimal digits or
    /// the end of a line after it (Go takes some of these for themselves), for control characters, and
    /// for more than 998 blanks in a row.
    pub(super) fn decode(&mut self, piece: &[u8], input: Input) -> Result<Bytes> {
        let mut bytes = mem::take(&mut self.undecided);
        bytes.extend_from_slice(piece);
        let mut decoded = Vec::with_capacity(bytes.len());
        let mut rest = bytes.as_slice();
        while let Some(&first) = rest.first() {
            let taken = match first {
                b'=' => escape(rest, input, &mut decoded)?,
                b' ' | b'\t' => blanks(rest, input, &mut decoded)?,
                // Bytes that are not ASCII should be escaped. Some senders do not, and such bytes can be read
                // in one way only.
                b'\r' | b'\n' | b'!'..=b'~' | 0x80.. => {
                    decoded.push(first);
                    1
                }
                _ => return Err(malformed("a control character in quoted-printable content")),
            };
            if taken == 0 {
                self.undecided = rest.to_vec();
                break;
            }
            rest = rest.get(taken..).unwrap_or_default();
        }
        Ok(decoded.into())
    }
}

/// The length of the escape at the start; 0 if more bytes are needed to know.
fn escape(bytes: &[u8], input: Input, decoded: &mut Vec<u8>) -> Result<usize> {
    if let [_, high, low, ..] = bytes {
        if let (Some(high), Some(low)) = (hex_digit(*high), hex_digit(*low)) {
            decoded.push(high << 4 | low);
            return Ok(3);
        }
    }
    // Otherwise the line goes on after its end. Blanks before the end are from the transport.
    let blanks = blank_count(bytes.get(1..).unwrap_or_default())?;
    match (bytes.get(1 + blanks..).unwrap_or_default(), input) {
        ([b'\r', b'\n', ..], _) => Ok(blanks + 3),
        ([b'\n', ..], _) => Ok(blanks + 2),
        ([], Input::Ended) => Ok(blanks + 1),
        ([] | [b'\r'], Input::Open) => Ok(0),
        ([digit], Input::Open) if blanks == 0 && digit.is_ascii_hexdigit() => Ok(0),
        _ => Err(malformed("a malformed escape in quoted-printable content")),
    }
}

/// The length of the run of blanks at the start; 0 if more bytes are needed to know. At the end of a
/// line they are not content: gateways added and removed them.
fn blanks(bytes: &[u8], input: Input, decoded: &mut Vec<u8>) -> Result<usize> {
    let count = blank_count(bytes)?;
    match (bytes.get(count..).unwrap_or_default(), input) {
        ([] | [b'\r'], Input::Open) => return Ok(0),
        ([b'\r', b'\n', ..] | [b'\n', ..], _) | ([], Input::Ended) => {}
        _ => decoded.extend_from_slice(bytes.get(..count).unwrap_or_default()),
    }
    Ok(count)
}

fn blank_count(bytes: &[u8]) -> Result<usize> {
    let count = bytes.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    if count > MAX_BLANK_BYTES { Err(malformed("too many blanks in quoted-printable content")) } else { Ok(count) }
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whole, and in two pieces cut at every byte: `None` where it is malformed.
    fn decode(encoded: &[u8]) -> Option<Vec<u8>> {
        let whole = in_pieces(&[encoded]);
        for cut in 0..=encoded.len() {
            let (first, second) = encoded.split_at(cut);
            assert_eq!(in_pieces(&[first, second]), whole, "{} cut at {cut}", encoded.escape_ascii());
        }
        let bytes: Vec<_> = encoded.chunks(1).collect();
        assert_eq!(in_pieces(&bytes), whole, "{} byte by byte", encoded.escape_ascii());
        whole
    }

    fn in_pieces(pieces: &[&[u8]]) -> Option<Vec<u8>> {
        let mut decoder = QuotedPrintable::default();
        let mut decoded = Vec::new();
        for piece in pieces {
            decoded.extend_from_slice(&decoder.decode(piece, Input::Open).ok()?);
        }
        decoded.extend_from_slice(&decoder.decode(b"", Input::Ended).ok()?);
        Some(decoded)
    }

    #[test]
    fn escapes_soft_breaks_and_blanks_are_decoded_at_every_cut() {
        let cases: [(&[u8], &[u8]); 14] = [
            (b"", b""),
            (b"plain text", b"plain text"),
            (b"caf=C3=A9", b"caf\xc3\xa9"),
            (b"a=3db=3D", b"a=b="),
            (b"one=\r\n two", b"one two"),
            (b"one=\ntwo", b"onetwo"),
            (b"one= \t\r\ntwo", b"onetwo"),
            (b"one \t\r\ntwo", b"one\r\ntwo"),
            (b"one \ntwo  three", b"one\ntwo  three"),
            (b"a \rb", b"a \rb"),
            (b"end ", b"end"),
            (b"end=20", b"end "),
            (b"end=", b"end"),
            (b"\xff\xfe", b"\xff\xfe"),
        ];
        for (encoded, expected) in cases {
            assert_eq!(decode(encoded).as_deref(), Some(expected), "{}", encoded.escape_ascii());
        }
    }

    #[test]
    fn what_is_no_escape_and_controls_are_refused_at_every_cut() {
        for encoded in [&b"=4"[..], b"=4x", b"=xy", b"==41", b"= a", b"=\rb", b"=\r", b"a\0", b"\x7f", b"=4\r\n"] {
            assert_eq!(decode(encoded), None, "{}", encoded.escape_ascii());
        }
    }

    #[test]
    fn blanks_are_held_back_up_to_a_bound() {
        let blanks = |count| " ".repeat(count);
        assert!(in_pieces(&[blanks(MAX_BLANK_BYTES).as_bytes(), b"x"]).is_some());
        assert!(in_pieces(&[blanks(MAX_BLANK_BYTES).as_bytes(), b" "]).is_none());
    }
}
