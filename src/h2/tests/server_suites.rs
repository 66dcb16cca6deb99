//! What public test suites of HTTP/2 ask of a server, and what of it no other script here has (`suites`).

use super::peer::*;

use Expect::{Answers, Goaway, Reset, Told};

const PROTOCOL: u32 = 1;
const FLOW_CONTROL: u32 = 3;
const REFUSED: u32 = 7;
const COMPRESSION: u32 = 9;

#[test]
fn a_server_takes_every_representation_of_a_field() {
    let with = |field: &[u8]| frame(HEADERS, WHOLE, 1, &[GET, field].concat());
    let told = |name, words, field: &[u8]| (name, Told(words), with(field));
    check_server(&[
        told("an indexed field", "{\"accept-encoding\": \"gzip, deflate\"}", b"\x90"),
        told("with indexing, indexed name", "{\"user-agent\": \"x\"}", b"\x7a\x01x"),
        told("with indexing, new name", "{\"n\": \"x\"}", b"\x40\x01n\x01x"),
        told("with indexing, then indexed", "{\"n\": \"x\", \"n\": \"x\"}", b"\x40\x01n\x01x\xbe"),
        told("with indexing, its name indexed", "{\"n\": \"x\", \"n\": \"y\"}", b"\x40\x01n\x01x\x7e\x01y"),
        told("without indexing, indexed name", "{\"user-agent\": \"x\"}", b"\x0f\x2b\x01x"),
        told("without indexing, new name", "{\"n\": \"x\"}", b"\x00\x01n\x01x"),
        told("never indexed, indexed name", "{\"user-agent\": \"x\"}", b"\x1f\x2b\x01x"),
        told("never indexed, new name", "{\"n\": \"x\"}", b"\x10\x01n\x01x"),
        told("a name of Huffman's code", "{\"custom-key\": \"x\"}", b"\x40\x88\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f\x01x"),
        told("a value of Huffman's code", "{\"n\": \"no-cache\"}", b"\x00\x01n\x86\xa8\xeb\x10\x64\x9c\xbf"),
        told("an empty value", "{\"n\": \"\"}", b"\x00\x01n\x00"),
        ("a change of the table's size", Answers(&[1]), frame(HEADERS, WHOLE, 1, &[b"\x20", GET].concat())),
        ("two changes", Answers(&[1]), frame(HEADERS, WHOLE, 1, &[b"\x20\x3f\xe1\x1f", GET].concat())),
        ("an empty table forgets", Goaway(COMPRESSION), {
            let forgets = frame(HEADERS, WHOLE, 3, &[b"\x20", GET, b"\xbe"].concat());
            [with(b"\x40\x01n\x01x"), forgets].concat()
        }),
        ("a literal that is cut off", Goaway(COMPRESSION), frame(HEADERS, WHOLE, 1, b"\x40")),
        ("an integer without an end", Goaway(COMPRESSION), with(b"\xff\xff\xff\xff\xff\xff\xff\xff")),
    ]);
}

#[test]
fn a_server_allows_its_streams_while_no_content_can_be_sent() {
    // No window: none of them ends, and the eleventh is one too many.
    let eleven: Vec<u8> = (0..11).flat_map(|n| get(2 * n + 1)).collect();
    check_server(&[
        ("ten wait for a window", Reset(21, REFUSED), [setting(4, 0), eleven.clone()].concat()),
        ("all end when it opens", Answers(&[1, 3, 5, 7, 9, 11, 13, 15, 17, 19]), {
            let ten = eleven[..eleven.len() - get(21).len()].to_vec();
            [setting(4, 0), ten, setting(4, 100)].concat()
        }),
    ]);
}

#[test]
fn a_server_takes_frames_in_their_unusual_forms() {
    let prioritized = |on: u32, of: u32| frame(PRIORITY, 0, on, &[&of.to_be_bytes()[..], b"\xff"].concat());
    check_server(&[
        ("PRIORITY of the least weight", Answers(&[1]), [frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 0]), get(1)].concat()),
        ("PRIORITY of an idle stream on another", Answers(&[1]), [prioritized(7, 5), get(1)].concat()),
        ("an exclusive PRIORITY", Answers(&[1]), [prioritized(1, 1 << 31), get(1)].concat()),
        ("PRIORITY of an idle stream opens none", Answers(&[1, 3]), [prioritized(5, 0), get(1), get(3)].concat()),
        ("HEADERS with padding of its own size", Goaway(PROTOCOL), {
            frame(HEADERS, WHOLE | PADDED, 1, &[&[GET.len() as u8 + 1], GET].concat())
        }),
        ("DATA with padding of its own size", Goaway(PROTOCOL), {
            [post(1), frame(DATA, PADDED, 1, b"\x05abcd")].concat()
        }),
        ("DATA with as much padding as can be", Answers(&[1]), {
            [post(1), frame(DATA, PADDED | END_STREAM, 1, &[&[255][..], &[0; 255]].concat())].concat()
        }),
        ("several frames of content", Told("end of 1 after 4 bytes"), {
            [post(1), data(1, b"a"), data(1, b"bc"), last_data(1, b"d")].concat()
        }),
        ("RST_STREAM of every code", Answers(&[1]), {
            let given_up = (0..14).flat_map(|code| [post(2 * code + 3), reset(2 * code + 3, code)].concat());
            [get(1), given_up.collect()].concat()
        }),
        ("a PING of the peer's, and an answer", Told("pong [105, 110, 118, 97, 108, 105, 100, 0]"), {
            [frame(PING, ACK, 0, b"invalid\0"), ping()].concat()
        }),
        ("SETTINGS without a setting", Told("settings"), frame(SETTINGS, 0, 0, &[])),
        ("CONTINUATION behind the last CONTINUATION", Goaway(PROTOCOL), {
            let more = frame(CONTINUATION, END_HEADERS, 1, b"");
            [frame(HEADERS, END_STREAM, 1, GET), more.clone(), more].concat()
        }),
        ("DATA between two CONTINUATIONs", Goaway(PROTOCOL), {
            [frame(HEADERS, END_STREAM, 1, GET), frame(CONTINUATION, 0, 1, b""), data(1, b"x")].concat()
        }),
        ("END_STREAM on a CONTINUATION means nothing", Told("end of 1 after 1 bytes"), {
            let pieces = [frame(HEADERS, 0, 1, POST), frame(CONTINUATION, END_HEADERS | END_STREAM, 1, b"")];
            [pieces.concat(), last_data(1, b"x")].concat()
        }),
        ("a trailer section in pieces", Told("trailer {\"x\": \"y\"} of 1"), {
            let pieces = [frame(HEADERS, END_STREAM, 1, b""), frame(CONTINUATION, END_HEADERS, 1, &literal("x", "y"))];
            [post(1), pieces.concat()].concat()
        }),
        ("a window that grows twice beyond its limit", Goaway(FLOW_CONTROL), {
            [window_update(0, (1 << 31) - 1 - 65_535), window_update(0, 1)].concat()
        }),
        ("a stream's window that grows twice", Reset(1, FLOW_CONTROL), {
            [post(1), window_update(1, (1 << 31) - 1 - 65_535), window_update(1, 1)].concat()
        }),
    ]);
}

#[test]
fn a_server_resets_requests_with_bytes_that_no_field_has() {
    for name in ["space force", "\x01x", "x\x7f", "\x7fx", "inv\u{e1}lid", "x:", "a,b", "a\tb", "x\n"] {
        let script = [frame(HEADERS, WHOLE, 1, &[GET, &literal(name, "v")].concat()), get(3)].concat();
        check_server(&[("a name", Reset(1, PROTOCOL), script)]);
    }
    let quoted = [frame(HEADERS, WHOLE, 1, &[GET, &literal("\"", "v")].concat()), get(3)].concat();
    check_server(&[("a quotation mark in a name", Reset(1, PROTOCOL), quoted)]);
    for value in ["a\nb", "a\rb", "a\0b", "\n", "a\r\n"] {
        let script = [frame(HEADERS, WHOLE, 1, &[GET, &literal("x", value)].concat()), get(3)].concat();
        check_server(&[("a value", Reset(1, PROTOCOL), script)]);
    }
    for value in [" v", "v ", "\tv\t", "v"] {
        let script = frame(HEADERS, WHOLE, 1, &[GET, &literal("x", value)].concat());
        check_server(&[("blanks around a value", Told("{\"x\": \"v\"}"), script)]);
    }
}
