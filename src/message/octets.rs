//! Which bytes may stand where: tokens, field values, request lines.

/// Whether the byte may stand in a token: a method, a field name (RFC 9110 §5.6.2).
pub(crate) const fn is_token_byte(byte: u8) -> bool {
    TOKEN[byte as usize]
}

/// Whether this is a token: not empty, and of token bytes only.
pub(crate) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&b| is_token_byte(b))
}

/// Whether a field value has a byte that it must not: a control character other than a tab
/// (RFC 9110 §5.5).
pub(crate) fn has_control(value: &[u8]) -> bool {
    has(value, is_control)
}

/// Whether a line has a control character, tabs included.
pub(crate) fn has_control_or_tab(line: &[u8]) -> bool {
    has(line, |b| (b < b' ') | (b == 0x7f))
}

/// Parses a decimal number: digits only, at least one, and no overflow.
pub(crate) fn decimal(digits: &[u8]) -> Option<u64> {
    let with = |number: u64, b: &u8| number.checked_mul(10)?.checked_add(u64::from(char::from(*b).to_digit(10)?));
    let number = digits.iter().try_fold(0, with)?;
    (!digits.is_empty()).then_some(number)
}

/// How many control characters other than tabs there are. They are counted by pieces whose count fits a
/// byte, so that the compiler vectorises the loop.
pub(crate) fn count_controls(bytes: &[u8]) -> usize {
    let in_piece = |piece: &[u8]| piece.iter().fold(0u8, |count, &b| count.wrapping_add(u8::from(is_control(b))));
    bytes.chunks(128).map(|piece| usize::from(in_piece(piece))).sum()
}

const fn is_control(byte: u8) -> bool {
    ((byte < b' ') & (byte != b'\t')) | (byte == 0x7f)
}

/// How many bytes the compiler examines with one instruction.
const BLOCK_BYTES: usize = 16;

/// Whether the test holds for one of the bytes. They are examined in blocks. The last block overlaps
/// the one before it, so that only texts shorter than a block are examined byte by byte.
pub(crate) fn has(text: &[u8], is_such: impl Fn(u8) -> bool + Copy) -> bool {
    const SMALL_BLOCK_BYTES: usize = BLOCK_BYTES / 2;
    if let (Some(first), Some(last)) = (text.first_chunk::<BLOCK_BYTES>(), text.last_chunk::<BLOCK_BYTES>()) {
        let blocks = text.chunks_exact(BLOCK_BYTES).skip(1).filter_map(<[u8]>::first_chunk);
        return in_block(first, is_such) | in_block(last, is_such)
            || blocks.fold(false, |found, block| found | in_block::<BLOCK_BYTES>(block, is_such));
    }
    match (text.first_chunk::<SMALL_BLOCK_BYTES>(), text.last_chunk::<SMALL_BLOCK_BYTES>()) {
        (Some(first), Some(last)) => in_block(first, is_such) | in_block(last, is_such),
        _ => text.iter().any(|&b| is_such(b)),
    }
}

fn in_block<const LEN: usize>(block: &[u8; LEN], is_such: impl Fn(u8) -> bool) -> bool {
    block.iter().fold(false, |found, &b| found | is_such(b))
}

static TOKEN: [bool; 256] = token_table();

const fn token_table() -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        let b = byte as u8;
        table[byte] = b.is_ascii_alphanumeric()
            || matches!(
                b,
                b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
            );
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_are_found_and_tabs_and_high_bytes_are_not() {
        assert!(!has_control("text\twith \u{e9}".as_bytes()));
        for bad in [b"a\rb", b"a\nb", b"a\0b", b"a\x7fb", b"a\x1fb"] {
            assert!(has_control(bad));
        }
    }

    #[test]
    fn one_byte_is_found_wherever_it_is_and_counted_once() {
        for len in 0..300 {
            let mut text = vec![b'x'; len];
            assert!(!has_control(&text) && !has_control_or_tab(&text) && count_controls(&text) == 0, "{len}");
            for at in 0..len {
                text[at] = b'\n';
                assert!(has_control(&text) && has_control_or_tab(&text), "{at} of {len}");
                assert_eq!(count_controls(&text), 1, "{at} of {len}");
                text[at] = b'x';
            }
            assert_eq!(count_controls(&vec![b'\r'; len]), len);
        }
    }

    #[test]
    fn a_number_is_digits_and_nothing_else() {
        for (text, number) in [("0", Some(0)), ("007", Some(7)), ("18446744073709551615", Some(u64::MAX))] {
            assert_eq!(decimal(text.as_bytes()), number, "{text}");
        }
        for bad in ["", "18446744073709551616", "99999999999999999999", "+1", "-1", " 1", "1 ", "1,1", "0x1", "\u{661}"]
        {
            assert_eq!(decimal(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn every_byte_is_of_the_kind_that_the_rules_say() {
        for byte in 0..=u8::MAX {
            let control = byte.is_ascii_control() && byte != b'\t';
            assert_eq!(has_control(&[byte]), control, "{byte}");
            assert_eq!(count_controls(&[byte; 20]), if control { 20 } else { 0 }, "{byte}");
            assert_eq!(has_control_or_tab(&[byte; 20]), byte.is_ascii_control(), "{byte}");
        }
    }
}
