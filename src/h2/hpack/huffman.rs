//! The Huffman code of RFC 7541 §5.2 and its appendix B.
//!
//! The code is canonical: codes of one length count upwards, and longer ones follow. So the lengths say
//! all, and every table here is computed from them by the compiler. Decoding looks up eleven bits at a
//! time, which are two symbols where both are short, and compares only longer codes, which stand for
//! controls and bytes that are not ASCII, with the bounds of their length.

use super::HpackFault;

/// The length of each symbol's code in bits. The last symbol is EOS, which must not come: its first bits
/// are the padding (RFC 7541 §5.2).
#[rustfmt::skip]
const CODE_LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

const SYMBOL_COUNT: usize = CODE_LENGTHS.len();

const SHORTEST_BITS: u32 = 5;
const LONGEST_BITS: u32 = 30;
const LOOKUP_BITS: u32 = 11;

/// The symbols in the order of their codes.
static ORDER: [u16; SYMBOL_COUNT] = order();

/// The code of each symbol, and how many bits it has.
static CODES: [(u32, u8); SYMBOL_COUNT] = codes();

/// The codes of each length.
static BY_LENGTH: [SameLength; LONGEST_BITS as usize + 1] = by_length();

/// What begins with each run of eleven bits.
static LOOKUP: [Symbols; 1 << LOOKUP_BITS] = lookup_table();

/// Codes of one length. All codes up to this length are below `end`, left-aligned in 32 bits.
#[derive(Clone, Copy)]
struct SameLength {
    first: u32,
    end: u64,
    first_in_order: u16,
}

/// The one or two symbols whose codes are whole in a run of bits. A length of 0: none.
#[derive(Clone, Copy)]
struct Symbols {
    first: u8,
    second: u8,
    first_bits: u8,
    both_bits: u8,
}

/// Appends what this code stands for. After a fault, what was appended is of no use.
pub(super) fn decode(code: &[u8], into: &mut Vec<u8>) -> Result<(), HpackFault> {
    into.reserve(code.len() * 8 / SHORTEST_BITS as usize + 1);
    let mut bits = Bits { rest: code, window: 0, len: 0 };
    loop {
        bits.refill();
        if bits.len < LONGEST_BITS {
            break;
        }
        // Every code is whole in what is there, so that no length has to be compared.
        while bits.len >= LONGEST_BITS {
            let symbols = bits.look_up();
            if symbols.both_bits > 0 {
                into.extend_from_slice(&[symbols.first, symbols.second]);
                bits.skip(symbols.both_bits);
            } else if symbols.first_bits > 0 {
                into.push(symbols.first);
                bits.skip(symbols.first_bits);
            } else {
                let (symbol, len) = bits.long_code();
                into.push(symbol.ok_or(HpackFault::Huffman)?);
                bits.skip(len);
            }
        }
    }
    decode_end(bits, into)
}

/// The last bits: fewer than the longest code has.
fn decode_end(mut bits: Bits<'_>, into: &mut Vec<u8>) -> Result<(), HpackFault> {
    loop {
        let symbols = bits.look_up();
        let (symbol, len) = match symbols.first_bits {
            0 => bits.long_code(),
            len => (Some(symbols.first), len),
        };
        // What is behind the last bit reads as zeros: a code that needs them is not there.
        if u32::from(len) > bits.len {
            break;
        }
        into.push(symbol.ok_or(HpackFault::Huffman)?);
        bits.skip(len);
    }
    if bits.is_padding() { Ok(()) } else { Err(HpackFault::Huffman) }
}

/// The bits that are not decoded yet. `window` has the next `len` of them at its upper end.
struct Bits<'a> {
    rest: &'a [u8],
    window: u64,
    len: u32,
}

impl Bits<'_> {
    /// Takes as many bytes as there is room for: 57 bits at least, while bytes remain.
    fn refill(&mut self) {
        if let Some(eight) = self.rest.first_chunk::<8>() {
            let bytes = (63 - self.len) / 8;
            // Bits beyond the last whole byte go in too: the next refill puts the same ones there, so that
            // all that is behind `len` is zeros once no byte remains.
            self.window |= u64::from_be_bytes(*eight) >> self.len;
            self.len += bytes * 8;
            self.rest = self.rest.get(bytes as usize..).unwrap_or_default();
            return;
        }
        while let (Some((&byte, rest)), true) = (self.rest.split_first(), self.len <= 56) {
            self.window |= u64::from(byte) << (56 - self.len);
            self.len += 8;
            self.rest = rest;
        }
    }

    fn look_up(&self) -> Symbols {
        LOOKUP[(self.window >> (64 - LOOKUP_BITS)) as usize]
    }

    /// The symbol of a code that is longer than a look-up, and its length. No symbol: EOS.
    fn long_code(&self) -> (Option<u8>, u8) {
        let bits = (self.window >> 32) as u32;
        let is_longer = |len: &u32| u64::from(bits) >= BY_LENGTH[*len as usize].end;
        let len = (LOOKUP_BITS + 1..LONGEST_BITS).find(|len| !is_longer(len)).unwrap_or(LONGEST_BITS);
        let same = &BY_LENGTH[len as usize];
        let nth = bits.wrapping_sub(same.first) >> (32 - len);
        let symbol = ORDER.get(usize::from(same.first_in_order) + nth as usize);
        (symbol.and_then(|&symbol| u8::try_from(symbol).ok()), len as u8)
    }

    fn skip(&mut self, bits: u8) {
        self.window <<= bits;
        self.len -= u32::from(bits);
    }

    /// RFC 7541 §5.2: fewer than eight bits, and all of them ones, as EOS begins.
    fn is_padding(&self) -> bool {
        self.len < 8 && (self.window >> 56) as u8 == !(0xff_u16 >> self.len) as u8
    }
}

/// The length of the code of this text, in bytes.
pub(super) fn encoded_len(text: impl Iterator<Item = u8>) -> usize {
    text.map(|byte| usize::from(CODE_LENGTHS[usize::from(byte)])).sum::<usize>().div_ceil(8)
}

/// Appends the code of this text.
pub(super) fn encode(text: impl Iterator<Item = u8>, into: &mut Vec<u8>) {
    // The last `len` bits of `window` are not written yet.
    let (mut window, mut len) = (0_u64, 0_u32);
    for byte in text {
        let (code, bits) = CODES[usize::from(byte)];
        window = window << bits | u64::from(code);
        len += u32::from(bits);
        if len >= 32 {
            len -= 32;
            into.extend_from_slice(&((window >> len) as u32).to_be_bytes());
        }
    }
    while len >= 8 {
        len -= 8;
        into.push((window >> len) as u8);
    }
    if len > 0 {
        into.push((window << (8 - len)) as u8 | 0xff >> len);
    }
}

// ------------------------------------------------------------ the tables, computed by the compiler

const fn order() -> [u16; SYMBOL_COUNT] {
    let mut order = [0; SYMBOL_COUNT];
    let (mut placed, mut len) = (0, SHORTEST_BITS);
    while len <= LONGEST_BITS {
        let mut symbol = 0;
        while symbol < SYMBOL_COUNT {
            if CODE_LENGTHS[symbol] as u32 == len {
                order[placed] = symbol as u16;
                placed += 1;
            }
            symbol += 1;
        }
        len += 1;
    }
    order
}

const fn codes() -> [(u32, u8); SYMBOL_COUNT] {
    let order = order();
    let mut codes = [(0, 0); SYMBOL_COUNT];
    let (mut code, mut last_len, mut nth) = (0_u32, 0, 0);
    while nth < SYMBOL_COUNT {
        let symbol = order[nth] as usize;
        let len = CODE_LENGTHS[symbol];
        code <<= len - last_len;
        codes[symbol] = (code, len);
        last_len = len;
        // The last code is all ones: there is none behind it.
        code = code.wrapping_add(1);
        nth += 1;
    }
    codes
}

const fn by_length() -> [SameLength; LONGEST_BITS as usize + 1] {
    let (order, codes) = (order(), codes());
    let mut table = [SameLength { first: 0, end: 0, first_in_order: 0 }; LONGEST_BITS as usize + 1];
    let (mut nth, mut len, mut end) = (0, SHORTEST_BITS, 0_u64);
    while len <= LONGEST_BITS {
        let from = nth;
        while nth < SYMBOL_COUNT && codes[order[nth] as usize].1 as u32 == len {
            end = (codes[order[nth] as usize].0 as u64 + 1) << (32 - len);
            nth += 1;
        }
        // A length without codes keeps the end of the one before: nothing is below it that is not shorter.
        let first = if nth > from { codes[order[from] as usize].0 << (32 - len) } else { 0 };
        table[len as usize] = SameLength { first, end, first_in_order: from as u16 };
        len += 1;
    }
    table
}

const fn lookup_table() -> [Symbols; 1 << LOOKUP_BITS] {
    let (order, lengths) = (order(), by_length());
    let mut table = [Symbols { first: 0, second: 0, first_bits: 0, both_bits: 0 }; 1 << LOOKUP_BITS];
    let mut run = 0;
    while run < 1 << LOOKUP_BITS {
        let bits = (run as u32) << (32 - LOOKUP_BITS);
        let (first, first_bits) = short_code(bits, LOOKUP_BITS, &order, &lengths);
        table[run].first = first;
        table[run].first_bits = first_bits;
        if first_bits > 0 {
            let left = LOOKUP_BITS - first_bits as u32;
            let (second, second_bits) = short_code(bits << first_bits, left, &order, &lengths);
            if second_bits > 0 {
                table[run].second = second;
                table[run].both_bits = first_bits + second_bits;
            }
        }
        run += 1;
    }
    table
}

/// The symbol whose code is whole in the first `available` bits, and the code's length; 0 where none is.
const fn short_code(bits: u32, available: u32, order: &[u16], lengths: &[SameLength]) -> (u8, u8) {
    let mut len = SHORTEST_BITS;
    while len <= available {
        let same = lengths[len as usize];
        if (bits as u64) < same.end {
            let nth = (bits - same.first) >> (32 - len);
            return (order[same.first_in_order as usize + nth as usize] as u8, len as u8);
        }
        len += 1;
    }
    (0, 0)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::super::tests::Random;
    use super::*;

    /// Each code, and the symbol that it stands for.
    fn symbols() -> HashMap<(u32, u8), usize> {
        CODES.iter().enumerate().map(|(symbol, &code)| (code, symbol)).collect()
    }

    /// Bit by bit.
    fn slowly_decoded(symbols: &HashMap<(u32, u8), usize>, code: &[u8]) -> Option<Vec<u8>> {
        let (mut text, mut bits, mut len) = (Vec::new(), 0_u32, 0_u8);
        for bit in code.iter().flat_map(|byte| (0..8).rev().map(move |shift| byte >> shift & 1)) {
            bits = bits << 1 | u32::from(bit);
            len += 1;
            if let Some(&symbol) = symbols.get(&(bits, len)) {
                text.push(u8::try_from(symbol).ok()?);
                (bits, len) = (0, 0);
            } else if len > 30 {
                return None;
            }
        }
        (len < 8 && bits == (1 << len) - 1).then_some(text)
    }

    fn decoded(code: &[u8]) -> Option<Vec<u8>> {
        let mut text = Vec::new();
        decode(code, &mut text).ok().map(|()| text)
    }

    #[test]
    fn the_code_has_the_ends_that_appendix_b_says() {
        for (symbol, code) in [
            (b'0' as usize, (0x0, 5)),
            (b'a' as usize, (0x3, 5)),
            (b'z' as usize, (0x7b, 7)),
            (b'~' as usize, (0x1ffd, 13)),
            (0, (0x1ff8, 13)),
            (b'\n' as usize, (0x3fff_fffc, 30)),
            (22, (0x3fff_fffe, 30)),
            (249, (0x0fff_fffe, 28)),
            (256, (0x3fff_ffff, 30)),
        ] {
            assert_eq!(CODES[symbol], code, "symbol {symbol}");
        }
    }

    #[test]
    fn every_text_comes_back_and_has_the_length_that_was_told() {
        let mut random = Random(1);
        for round in 0..20_000 {
            let mut text = random.bytes(round % 67);
            match round % 3 {
                0 => {}
                1 => text.iter_mut().for_each(|b| *b = b'a' + *b % 26),
                _ => text.iter_mut().for_each(|b| *b = b' ' + *b % 95),
            }
            let mut code = Vec::new();
            encode(text.iter().copied(), &mut code);
            assert_eq!(code.len(), encoded_len(text.iter().copied()));
            assert_eq!(decoded(&code), Some(text));
        }
    }

    #[test]
    fn any_bytes_are_decoded_as_a_slow_decoder_does_it() {
        let (mut random, symbols) = (Random(7), symbols());
        for round in 0..10_000 {
            let mut code = random.bytes(1 + round % 21);
            if round % 2 == 0 {
                // Long codes begin with many ones.
                code.iter_mut().for_each(|b| *b |= 0xf0);
            }
            assert_eq!(decoded(&code), slowly_decoded(&symbols, &code), "{code:02x?}");
        }
    }

    #[test]
    fn every_symbol_is_decoded_at_every_place_of_a_byte_and_before_every_end() {
        let symbols = symbols();
        for symbol in 0..=255_u8 {
            for before in 0..16 {
                for after in [0, 1, 2, 8] {
                    let text = [vec![b'0'; before], vec![symbol], vec![b'0'; after]].concat();
                    let mut code = Vec::new();
                    encode(text.iter().copied(), &mut code);
                    assert_eq!(decoded(&code), Some(text));
                    code.pop();
                    assert_eq!(decoded(&code), slowly_decoded(&symbols, &code), "{symbol} cut off");
                }
            }
        }
    }

    #[test]
    fn padding_is_less_than_a_byte_and_all_ones_and_eos_never_comes() {
        for wrong in [
            &[0xff][..],
            &[0xff, 0xff],
            // `0` and zeros behind it.
            &[0x00],
            // `a` and a byte of padding.
            &[0x1f, 0xff],
            // EOS, alone and behind an `a`.
            &[0xff, 0xff, 0xff, 0xff],
            &[0x1f, 0xff, 0xff, 0xff, 0xff],
            &[0xff, 0xff, 0xff, 0xfc, 0x3f],
        ] {
            assert_eq!(decoded(wrong), None, "{wrong:02x?}");
        }
        assert_eq!(decoded(&[0x1f]), Some(b"a".to_vec()));
        assert_eq!(decoded(&[]), Some(Vec::new()));
    }
}
