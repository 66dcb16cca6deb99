//! Frames as a script has them, and what it has to lead to.

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;
pub(super) const PRIORITY_UPDATE: u8 = 0x10;

pub(super) const END_STREAM: u8 = 1;
pub(super) const ACK: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
pub(super) const PADDED: u8 = 8;
pub(super) const WITH_PRIORITY: u8 = 0x20;
/// A head that is the whole message.
pub(super) const WHOLE: u8 = END_STREAM | END_HEADERS;

/// `GET /` and `POST /` over `http` of the host `a`.
pub(super) const GET: &[u8] = b"\x82\x86\x84\x01\x01a";
pub(super) const POST: &[u8] = b"\x83\x86\x84\x01\x01a";

pub(super) fn frame(kind: u8, flags: u8, id: u32, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u32).to_be_bytes();
    let mut frame = vec![len[1], len[2], len[3], kind, flags];
    frame.extend_from_slice(&id.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

pub(super) fn get(id: u32) -> Vec<u8> {
    frame(HEADERS, WHOLE, id, GET)
}

/// A request whose content follows.
pub(super) fn post(id: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, id, POST)
}

pub(super) fn data(id: u32, content: &[u8]) -> Vec<u8> {
    frame(DATA, 0, id, content)
}

pub(super) fn last_data(id: u32, content: &[u8]) -> Vec<u8> {
    frame(DATA, END_STREAM, id, content)
}

pub(super) fn reset(id: u32, code: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, id, &code.to_be_bytes())
}

pub(super) fn window_update(id: u32, by: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, id, &by.to_be_bytes())
}

pub(super) fn ping() -> Vec<u8> {
    frame(PING, 0, 0, b"12345678")
}

pub(super) fn setting(id: u16, value: u32) -> Vec<u8> {
    let mut payload = id.to_be_bytes().to_vec();
    payload.extend_from_slice(&value.to_be_bytes());
    frame(SETTINGS, 0, 0, &payload)
}

/// A literal field that goes into no table.
pub(super) fn literal(name: &str, value: &str) -> Vec<u8> {
    let mut field = vec![0, name.len() as u8];
    field.extend_from_slice(name.as_bytes());
    field.push(value.len() as u8);
    field.extend_from_slice(value.as_bytes());
    field
}

/// What a script has to lead to.
#[derive(Debug, Clone)]
pub(super) enum Expect {
    /// These streams are answered with 200, to their ends, and nothing is wrong.
    Answers(&'static [u32]),
    /// A stream is reset with this code, and the connection goes on.
    Reset(u32, u32),
    /// The connection ends with this code.
    Goaway(u32),
    /// These words are told, and the connection goes on.
    Told(&'static str),
}
