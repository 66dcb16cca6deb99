//! Integers that begin within a byte (RFC 7541 §5.1).

use super::HpackFault;

/// As many bytes may follow the first one. They hold 28 bits: more than any length, index or size that a
/// block of a few MiB can have.
const MAX_FOLLOWING_BYTES: u32 = 4;

/// Reads an integer that begins in the low `prefix` bits of `first`, and returns what follows it.
pub(super) fn read(first: u8, prefix: u32, mut rest: &[u8]) -> Result<(usize, &[u8]), HpackFault> {
    let mask = (1_usize << prefix) - 1;
    let mut value = usize::from(first) & mask;
    if value < mask {
        return Ok((value, rest));
    }
    for place in 0..MAX_FOLLOWING_BYTES {
        let (&byte, after) = rest.split_first().ok_or(HpackFault::Truncated)?;
        rest = after;
        // Cannot overflow: 255 and 28 bits.
        value += usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Ok((value, rest));
        }
    }
    Err(HpackFault::LargeInteger)
}

/// Appends an integer; `first` has the bits before it. Nearly all fit into that byte.
#[inline]
pub(super) fn write(into: &mut Vec<u8>, first: u8, prefix: u32, value: usize) {
    let mask = (1_usize << prefix) - 1;
    if value < mask {
        return into.push(first | value as u8);
    }
    into.push(first | mask as u8);
    write_rest(into, value - mask);
}

fn write_rest(into: &mut Vec<u8>, mut rest: usize) {
    while rest >= 0x80 {
        into.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    into.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(prefix: u32, value: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(&mut bytes, 0, prefix, value);
        bytes
    }

    #[test]
    fn the_examples_of_appendix_c_1() {
        assert_eq!(written(5, 10), [0x0a]);
        assert_eq!(written(5, 1337), [0x1f, 0x9a, 0x0a]);
        assert_eq!(written(8, 42), [0x2a]);
    }

    #[test]
    fn what_is_written_is_read_and_what_is_cut_off_is_not() {
        for prefix in 4..=8 {
            for value in (0..600).chain([16_383, 16_384, 1 << 20, (1 << 28) - 1]) {
                let mut bytes = written(prefix, value);
                bytes.push(0xaa);
                let (first, rest) = bytes.split_first().unwrap();
                assert_eq!(read(*first, prefix, rest), Ok((value, &[0xaa][..])), "{value} in {prefix} bits");
                for end in 0..rest.len() - 1 {
                    assert_eq!(read(*first, prefix, &rest[..end]), Err(HpackFault::Truncated));
                }
            }
        }
    }

    #[test]
    fn a_fifth_byte_is_too_much_and_zeros_in_front_are_allowed() {
        assert_eq!(read(0x1f, 5, &[0xff, 0xff, 0xff, 0x7f]), Ok((31 + (1 << 28) - 1, &[][..])));
        assert_eq!(read(0x1f, 5, &[0x80, 0x80, 0x80, 0x80, 0x00]), Err(HpackFault::LargeInteger));
        assert_eq!(read(0x1f, 5, &[0x80, 0x80, 0x00]), Ok((31, &[][..])));
    }
}
