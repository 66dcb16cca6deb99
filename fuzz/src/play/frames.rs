//! HTTP/2 frames written by hand and read back (RFC 9113 §4), and fields in the plainest spelling of HPACK (RFC 7541).

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 0x1;
pub const ACK: u8 = 0x1;
pub const END_HEADERS: u8 = 0x4;
pub const PADDED: u8 = 0x8;
pub const WITH_PRIORITY: u8 = 0x20;

pub const INITIAL_WINDOW_SIZE: u16 = 4;

/// What a peer may have that asked for nothing else.
pub const DEFAULT_WINDOW: u32 = 65_535;
pub const MAX_FRAME_BYTES: usize = 16_384;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).expect("no payload is that long").to_be_bytes();
    [&len[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

pub fn setting(id: u16, value: u32) -> Vec<u8> {
    [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()
}

/// The frames that came whole.
pub fn frames(mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let [a, b, c, kind, flags, d, e, f, g, rest @ ..] = bytes {
        let len = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
        let Some((payload, behind)) = rest.split_at_checked(len) else { break };
        let stream = u32::from_be_bytes([*d, *e, *f, *g]);
        frames.push(Frame { kind: *kind, flags: *flags, stream, payload: payload.into() });
        bytes = behind;
    }
    frames
}

/// The payload between a length of padding and as much padding, if there is any.
pub fn padded(flags: &mut u8, padding: u8, payload: &[u8]) -> Vec<u8> {
    if padding == 0 {
        return payload.to_vec();
    }
    *flags |= PADDED;
    [&[padding], payload, &vec![0; usize::from(padding)]].concat()
}

/// A block of fields.
#[derive(Default)]
pub struct Block(pub Vec<u8>);

impl Block {
    /// A field of the static table.
    pub fn indexed(&mut self, index: usize) {
        self.integer(0x80, 7, index);
    }

    /// A value for a name of the static table.
    pub fn named(&mut self, index: usize, value: &[u8]) {
        self.integer(0, 4, index);
        self.text(value);
    }

    pub fn field(&mut self, name: &[u8], value: &[u8]) {
        self.0.push(0);
        self.text(name);
        self.text(value);
    }

    /// A field that the peer is to keep in its table.
    pub fn kept_field(&mut self, name: &[u8], value: &[u8]) {
        self.0.push(0x40);
        self.text(name);
        self.text(value);
    }

    fn text(&mut self, text: &[u8]) {
        self.integer(0, 7, text.len());
        self.0.extend_from_slice(text);
    }

    fn integer(&mut self, first: u8, bits: u32, number: usize) {
        let most = (1 << bits) - 1;
        if number < most {
            self.0.push(first | byte(number));
            return;
        }
        self.0.push(first | byte(most));
        let mut left = number - most;
        while left >= 128 {
            self.0.push(byte(left % 128) | 0x80);
            left /= 128;
        }
        self.0.push(byte(left));
    }

    /// As one HEADERS frame, or as it and CONTINUATION frames where `cuts` says how long the first are.
    pub fn frames(&self, stream: u32, flags: u8, padding: u8, cuts: &[u8]) -> Vec<u8> {
        let (mut pieces, mut rest) = (Vec::new(), &self.0[..]);
        for cut in cuts {
            let (piece, behind) = rest.split_at(usize::from(*cut).min(rest.len()));
            pieces.push(piece);
            rest = behind;
        }
        pieces.push(rest);
        let mut flags = flags;
        let last = pieces.len() - 1;
        let weight: &[u8] = if flags & WITH_PRIORITY == 0 { b"" } else { &[0, 0, 0, 0, 16] };
        let first = padded(&mut flags, padding, &[weight, pieces[0]].concat());
        // The length of the padding stands before all else.
        let mut all = frame(HEADERS, flags | if last == 0 { END_HEADERS } else { 0 }, stream, &first);
        for (at, piece) in pieces.iter().enumerate().skip(1) {
            all.extend(frame(CONTINUATION, if at == last { END_HEADERS } else { 0 }, stream, piece));
        }
        all
    }
}

fn byte(number: usize) -> u8 {
    u8::try_from(number).expect("it was made small")
}
