//! RFC 7541 slowly: bit by bit, and with tables that are lists of owned text.

/// A name and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// A decoder and its dynamic table, the newest entry first.
#[derive(Debug)]
pub struct Decoder {
    table: Vec<Pair>,
    max_size: usize,
    limit: usize,
}

impl Decoder {
    pub fn new(limit: usize) -> Decoder {
        Decoder { table: Vec::new(), max_size: 4096.min(limit), limit }
    }

    /// The fields of a whole block. `None`: it is none.
    pub fn decode(&mut self, block: &[u8]) -> Option<Vec<Pair>> {
        let (mut rest, mut fields) = (block, Vec::new());
        while let Some(&first) = rest.first() {
            if first >= 0x80 {
                fields.push(self.entry(integer(&mut rest, 7)?)?);
            } else if (0x20..0x40).contains(&first) {
                let size = integer(&mut rest, 5)?;
                if !fields.is_empty() || size > self.limit {
                    return None;
                }
                self.max_size = size;
                self.evict(0);
            } else {
                let index = integer(&mut rest, if first >= 0x40 { 6 } else { 4 })?;
                let name = if index == 0 { string(&mut rest)? } else { self.entry(index)?.0 };
                let field = (name, string(&mut rest)?);
                fields.push(field.clone());
                if first >= 0x40 {
                    let size = size(&field);
                    self.evict(size);
                    if size <= self.max_size {
                        self.table.insert(0, field);
                    }
                }
            }
        }
        Some(fields)
    }

    fn entry(&self, index: usize) -> Option<Pair> {
        let index = index.checked_sub(1)?;
        match STATIC.get(index) {
            Some(line) => {
                let (name, value) = line.split_once(": ")?;
                Some((name.as_bytes().to_vec(), value.as_bytes().to_vec()))
            }
            None => self.table.get(index - STATIC.len()).cloned(),
        }
    }

    /// Until so much more has room.
    fn evict(&mut self, more: usize) {
        while !self.table.is_empty() && self.table.iter().map(size).sum::<usize>() + more > self.max_size {
            self.table.pop();
        }
    }
}

fn size(field: &Pair) -> usize {
    field.0.len() + field.1.len() + 32
}

fn byte(rest: &mut &[u8]) -> Option<u8> {
    let (first, after) = rest.split_first()?;
    *rest = after;
    Some(*first)
}

/// Four bytes behind the first are the most that is taken.
fn integer(rest: &mut &[u8], bits: u32) -> Option<usize> {
    let most = 2_usize.pow(bits) - 1;
    let mut value = usize::from(byte(rest)?) % (most + 1);
    if value < most {
        return Some(value);
    }
    for place in 0..4 {
        let next = usize::from(byte(rest)?);
        value += next % 128 * 128_usize.pow(place);
        if next < 128 {
            return Some(value);
        }
    }
    None
}

fn string(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let is_code = *rest.first()? >= 0x80;
    let len = integer(rest, 7)?;
    let text = rest.get(..len)?;
    *rest = &rest[len..];
    if is_code { huffman(text) } else { Some(text.to_vec()) }
}

/// A code is found by counting: of each length, codes begin where the shorter ones have ended.
fn huffman(code: &[u8]) -> Option<Vec<u8>> {
    let (mut text, mut value, mut len) = (Vec::new(), 0_u64, 0_u8);
    for bit in code.iter().flat_map(|byte| (0..8).rev().map(move |shift| u64::from(byte >> shift & 1))) {
        (value, len) = (value * 2 + bit, len + 1);
        let (mut first, mut shorter) = (0_u64, 0_u64);
        for of in 1..=len {
            first = (first + shorter) * 2;
            shorter = LENGTHS.iter().filter(|other| **other == of).count() as u64;
        }
        if value >= first && value - first < shorter {
            let nth = (value - first) as usize;
            let symbol = LENGTHS.iter().enumerate().filter(|(_, other)| **other == len).nth(nth)?.0;
            text.push(u8::try_from(symbol).ok()?);
            (value, len) = (0, 0);
        }
    }
    (len < 8 && value + 1 == 1 << len).then_some(text)
}

/// RFC 7541, appendix B: how many bits each symbol has; the last one must not come.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
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

/// RFC 7541, appendix A.
const STATIC: [&str; 61] = [
    ":authority: ",
    ":method: GET",
    ":method: POST",
    ":path: /",
    ":path: /index.html",
    ":scheme: http",
    ":scheme: https",
    ":status: 200",
    ":status: 204",
    ":status: 206",
    ":status: 304",
    ":status: 400",
    ":status: 404",
    ":status: 500",
    "accept-charset: ",
    "accept-encoding: gzip, deflate",
    "accept-language: ",
    "accept-ranges: ",
    "accept: ",
    "access-control-allow-origin: ",
    "age: ",
    "allow: ",
    "authorization: ",
    "cache-control: ",
    "content-disposition: ",
    "content-encoding: ",
    "content-language: ",
    "content-length: ",
    "content-location: ",
    "content-range: ",
    "content-type: ",
    "cookie: ",
    "date: ",
    "etag: ",
    "expect: ",
    "expires: ",
    "from: ",
    "host: ",
    "if-match: ",
    "if-modified-since: ",
    "if-none-match: ",
    "if-range: ",
    "if-unmodified-since: ",
    "last-modified: ",
    "link: ",
    "location: ",
    "max-forwards: ",
    "proxy-authenticate: ",
    "proxy-authorization: ",
    "range: ",
    "referer: ",
    "refresh: ",
    "retry-after: ",
    "server: ",
    "set-cookie: ",
    "strict-transport-security: ",
    "transfer-encoding: ",
    "user-agent: ",
    "vary: ",
    "via: ",
    "www-authenticate: ",
];
