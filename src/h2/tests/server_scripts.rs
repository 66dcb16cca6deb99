//! What clients may and may not do, by the sections of RFC 9113 on frames, streams and errors.

use super::peer::*;

const PROTOCOL: u32 = 1;
const FLOW_CONTROL: u32 = 3;
const CLOSED: u32 = 5;
const FRAME_SIZE: u32 = 6;
const REFUSED: u32 = 7;
const COMPRESSION: u32 = 9;

use Expect::{Answers, Goaway, Reset, Told};

#[test]
fn section_4_1_and_5_5_what_is_unknown_is_ignored() {
    check_server(&[
        ("unknown type", Answers(&[1]), [frame(0xee, 0xff, 0, b"what"), get(1)].concat()),
        ("unknown type on a stream", Answers(&[1]), [get(1), frame(0x16, 0, 1, b"")].concat()),
        ("ALTSVC and ORIGIN", Answers(&[1]), [frame(0xa, 0, 0, b"\0\x01ax"), frame(0xc, 0, 0, b"x"), get(1)].concat()),
        ("unknown flags", Answers(&[]), frame(PING, 0x16, 0, b"12345678")),
        (
            "reserved bit",
            Answers(&[1]),
            [frame(PING, 0, 1 << 31, b"12345678"), frame(HEADERS, WHOLE, 1 << 31 | 1, GET)].concat(),
        ),
        ("unknown setting", Answers(&[1]), [setting(0xff, 7), get(1)].concat()),
        ("unknown error code", Answers(&[]), [post(1), reset(1, 0xff)].concat()),
        ("unknown GOAWAY code", Told("goaway 0 255"), frame(GOAWAY, 0, 0, b"\0\0\0\0\0\0\0\xff")),
        (
            "unknown between pieces of a block",
            Goaway(PROTOCOL),
            [frame(HEADERS, END_STREAM, 1, GET), frame(0xee, 0, 0, b"")].concat(),
        ),
    ]);
}

#[test]
fn section_4_2_and_4_3_sizes_and_header_blocks() {
    let full = vec![0; 16_384];
    check_server(&[
        ("a full DATA frame", Answers(&[1]), [post(1), last_data(1, &full)].concat()),
        ("a DATA frame too large", Goaway(FRAME_SIZE), [post(1), data(1, &vec![0; 16_385])].concat()),
        ("HEADERS too large", Goaway(FRAME_SIZE), frame(HEADERS, WHOLE, 1, &vec![0; 16_385])),
        ("SETTINGS too large", Goaway(FRAME_SIZE), frame(SETTINGS, 0, 0, &[0; 6 * 2731])),
        ("a block of padding alone", Goaway(COMPRESSION), frame(HEADERS, WHOLE, 1, &[0x41, 0x81, 0xff])),
        ("a block that is cut off", Goaway(COMPRESSION), frame(HEADERS, WHOLE, 1, b"\x82\x86\x84\x41\x05a")),
        ("an index that is not there", Goaway(COMPRESSION), frame(HEADERS, WHOLE, 1, b"\x82\x86\x84\xbe")),
        ("index 0", Goaway(COMPRESSION), frame(HEADERS, WHOLE, 1, b"\x82\x86\x84\x80")),
        (
            "a name of an index that is not there",
            Goaway(COMPRESSION),
            frame(HEADERS, WHOLE, 1, b"\x82\x86\x84\x7e\x01a"),
        ),
        ("a table size too large", Goaway(COMPRESSION), frame(HEADERS, WHOLE, 1, b"\x3f\xe2\x1f\x82\x86\x84")),
        ("a table size at the end", Goaway(COMPRESSION), frame(HEADERS, WHOLE, 1, b"\x82\x86\x84\x20")),
        ("EOS in a string", Goaway(COMPRESSION), frame(HEADERS, WHOLE, 1, b"\x82\x86\x84\x41\x84\xff\xff\xff\xff")),
        (
            "padding of a string over 7 bits",
            Goaway(COMPRESSION),
            frame(HEADERS, WHOLE, 1, b"\x82\x86\x84\x41\x82\x1f\xff"),
        ),
        ("padding of a string with zeros", Goaway(COMPRESSION), frame(HEADERS, WHOLE, 1, b"\x82\x86\x84\x41\x81\x18")),
        (
            "a PRIORITY between pieces",
            Goaway(PROTOCOL),
            [frame(HEADERS, END_STREAM, 1, GET), frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 1])].concat(),
        ),
        (
            "another stream's HEADERS between pieces",
            Goaway(PROTOCOL),
            [frame(HEADERS, END_STREAM, 1, GET), get(3)].concat(),
        ),
        (
            "another stream's CONTINUATION",
            Goaway(PROTOCOL),
            [frame(HEADERS, END_STREAM, 1, GET), frame(CONTINUATION, END_HEADERS, 3, b"")].concat(),
        ),
        ("the blocks of refused streams count for the table", Answers(&[3]), {
            let with_entry = [POST, b"\x40\x01x\x01y"].concat();
            [
                frame(HEADERS, END_HEADERS, 1, &with_entry),
                reset(1, 8),
                frame(HEADERS, WHOLE, 3, &[GET, b"\xbe"].concat()),
            ]
            .concat()
        }),
    ]);
}

#[test]
fn section_5_1_states_of_streams() {
    let open = |rest: Vec<u8>| [post(1), rest].concat();
    let half_closed = |rest: Vec<u8>| {
        // It is not answered: its window is shut.
        [setting(4, 0), get(1), rest].concat()
    };
    let closed = |rest: Vec<u8>| [get(1), rest].concat();
    check_server(&[
        ("idle: DATA", Goaway(PROTOCOL), data(1, b"x")),
        ("idle: RST_STREAM", Goaway(PROTOCOL), reset(1, 8)),
        ("idle: WINDOW_UPDATE", Goaway(PROTOCOL), window_update(1, 100)),
        ("idle: CONTINUATION", Goaway(PROTOCOL), frame(CONTINUATION, END_HEADERS, 1, GET)),
        ("idle: PRIORITY", Answers(&[1]), [frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 255]), get(1)].concat()),
        ("idle: PRIORITY of a wrong size", Goaway(FRAME_SIZE), frame(PRIORITY, 0, 1, b"1234")),
        (
            "open: PRIORITY, WINDOW_UPDATE, DATA",
            Answers(&[1]),
            open([frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1]), window_update(1, 1), last_data(1, b"x")].concat()),
        ),
        ("open: RST_STREAM", Told("reset of 1 by Peer with 8"), open(reset(1, 8))),
        ("half-closed: DATA", Reset(1, CLOSED), half_closed(data(1, b"x"))),
        ("half-closed: HEADERS", Reset(1, CLOSED), half_closed(get(1))),
        ("half-closed: CONTINUATION", Goaway(PROTOCOL), half_closed(frame(CONTINUATION, END_HEADERS, 1, GET))),
        ("half-closed: WINDOW_UPDATE", Answers(&[1]), half_closed(window_update(1, 100))),
        (
            "half-closed: PRIORITY",
            Answers(&[1]),
            half_closed([frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1]), window_update(1, 5)].concat()),
        ),
        ("half-closed: RST_STREAM", Told("reset of 1"), half_closed(reset(1, 8))),
        ("closed: DATA", Reset(1, CLOSED), closed(data(1, b"x"))),
        ("closed: HEADERS", Goaway(CLOSED), closed(get(1))),
        ("closed: CONTINUATION", Goaway(PROTOCOL), closed(frame(CONTINUATION, END_HEADERS, 1, GET))),
        (
            "closed: WINDOW_UPDATE, RST_STREAM and PRIORITY",
            Answers(&[1]),
            closed([window_update(1, 1), reset(1, 8), frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1])].concat()),
        ),
        ("reset by the peer: DATA", Reset(1, CLOSED), open([reset(1, 8), data(1, b"x")].concat())),
        ("reset by the peer: HEADERS", Goaway(CLOSED), open([reset(1, 8), get(1)].concat())),
        (
            "reset by the peer: CONTINUATION",
            Goaway(PROTOCOL),
            open([reset(1, 8), frame(CONTINUATION, END_HEADERS, 1, GET)].concat()),
        ),
        (
            "reset here: all that comes",
            Reset(1, PROTOCOL),
            open(
                [
                    window_update(1, 0),
                    data(1, b"x"),
                    window_update(1, 1),
                    frame(HEADERS, WHOLE, 1, b""),
                    last_data(1, b"x"),
                    reset(1, 8),
                ]
                .concat(),
            ),
        ),
    ]);
}

#[test]
fn section_5_1_1_and_5_1_2_identifiers_and_how_many() {
    let eleven: Vec<u8> = (0..11).flat_map(|n| post(2 * n + 1)).collect();
    check_server(&[
        ("even", Goaway(PROTOCOL), get(2)),
        ("lower than the last one", Goaway(PROTOCOL), [get(5), get(3)].concat()),
        ("lower than the first one", Goaway(PROTOCOL), [get(1), get(7), get(5)].concat()),
        ("some are skipped", Answers(&[1, 9]), [get(1), get(9)].concat()),
        ("too many at a time", Reset(21, REFUSED), eleven),
        ("stream 0: DATA", Goaway(PROTOCOL), data(0, b"x")),
        ("stream 0: HEADERS", Goaway(PROTOCOL), get(0)),
        ("stream 0: PRIORITY", Goaway(PROTOCOL), frame(PRIORITY, 0, 0, &[0, 0, 0, 0, 1])),
        ("stream 0: RST_STREAM", Goaway(PROTOCOL), reset(0, 8)),
        (
            "stream 0: CONTINUATION",
            Goaway(PROTOCOL),
            [frame(HEADERS, END_STREAM, 1, GET), frame(CONTINUATION, END_HEADERS, 0, b"")].concat(),
        ),
    ]);
}

#[test]
fn section_5_3_priorities_of_old_are_ignored_but_not_when_a_stream_depends_on_itself() {
    let with_priority = |depends_on: u32| [&depends_on.to_be_bytes()[..], b"\x10", GET].concat();
    check_server(&[
        ("HEADERS with a priority", Answers(&[1]), frame(HEADERS, WHOLE | WITH_PRIORITY, 1, &with_priority(0))),
        ("exclusive", Answers(&[3]), frame(HEADERS, WHOLE | WITH_PRIORITY, 3, &with_priority(1 << 31 | 1))),
        (
            "HEADERS that depend on themselves",
            Reset(1, PROTOCOL),
            frame(HEADERS, WHOLE | WITH_PRIORITY, 1, &with_priority(1)),
        ),
        (
            "PRIORITY that depends on itself",
            Reset(1, PROTOCOL),
            [post(1), frame(PRIORITY, 0, 1, &[0, 0, 0, 1, 1])].concat(),
        ),
        ("the same on an idle stream", Goaway(PROTOCOL), frame(PRIORITY, 0, 3, &[0, 0, 0, 3, 1])),
        ("no room for a priority", Goaway(FRAME_SIZE), frame(HEADERS, WHOLE | WITH_PRIORITY, 1, b"\0\0\0")),
    ]);
}

#[test]
fn section_6_1_and_6_2_padding() {
    let padded = |flags, payload: &[u8]| frame(HEADERS, flags | PADDED, 1, payload);
    check_server(&[
        ("DATA", Answers(&[1]), [post(1), frame(DATA, PADDED | END_STREAM, 1, b"\x03abc\0\0\0")].concat()),
        (
            "DATA of padding alone",
            Answers(&[1]),
            [post(1), frame(DATA, PADDED, 1, b"\x02\0\0"), last_data(1, b"")].concat(),
        ),
        ("DATA with more padding than frame", Goaway(PROTOCOL), [post(1), frame(DATA, PADDED, 1, b"\x04abc")].concat()),
        ("DATA without room for its length", Goaway(FRAME_SIZE), [post(1), frame(DATA, PADDED, 1, b"")].concat()),
        ("HEADERS", Answers(&[1]), padded(WHOLE, &[b"\x02", GET, b"\0\0"].concat())),
        (
            "HEADERS with a priority",
            Answers(&[1]),
            padded(WHOLE | WITH_PRIORITY, &[b"\x01\0\0\0\0\x01", GET, b"\0"].concat()),
        ),
        ("HEADERS with more padding than frame", Goaway(PROTOCOL), padded(WHOLE, &[b"\xff", GET].concat())),
        ("HEADERS without room for its length", Goaway(FRAME_SIZE), padded(WHOLE, b"")),
    ]);
}

#[test]
fn section_6_3_to_6_5_priority_resets_and_settings() {
    check_server(&[
        ("PRIORITY of a wrong size", Reset(1, FRAME_SIZE), [post(1), frame(PRIORITY, 0, 1, b"1234")].concat()),
        ("RST_STREAM of 3 bytes", Goaway(FRAME_SIZE), [post(1), frame(RST_STREAM, 0, 1, b"123")].concat()),
        ("RST_STREAM of 5 bytes", Goaway(FRAME_SIZE), [post(1), frame(RST_STREAM, 0, 1, b"12345")].concat()),
        ("an acknowledgment with content", Goaway(FRAME_SIZE), frame(SETTINGS, ACK, 0, &[0; 6])),
        ("SETTINGS on a stream", Goaway(PROTOCOL), frame(SETTINGS, 0, 1, &[])),
        ("SETTINGS of a wrong size", Goaway(FRAME_SIZE), frame(SETTINGS, 0, 0, &[0, 3, 0])),
        ("ENABLE_PUSH of 2", Goaway(PROTOCOL), setting(2, 2)),
        ("INITIAL_WINDOW_SIZE too large", Goaway(FLOW_CONTROL), setting(4, 1 << 31)),
        ("MAX_FRAME_SIZE too small", Goaway(PROTOCOL), setting(5, 16_383)),
        ("MAX_FRAME_SIZE of 0", Goaway(PROTOCOL), setting(5, 0)),
        ("MAX_FRAME_SIZE too large", Goaway(PROTOCOL), setting(5, 1 << 24)),
        ("ENABLE_CONNECT_PROTOCOL of 2", Goaway(PROTOCOL), setting(8, 2)),
        ("NO_RFC7540_PRIORITIES of 2", Goaway(PROTOCOL), setting(9, 2)),
        (
            "all at their limits",
            Answers(&[1]),
            [
                setting(2, 1),
                setting(4, (1 << 31) - 1),
                setting(5, (1 << 24) - 1),
                setting(3, 0),
                setting(6, 0),
                setting(1, u32::MAX),
                get(1),
            ]
            .concat(),
        ),
        ("twice in one frame", Told("settings"), frame(SETTINGS, 0, 0, b"\0\x04\0\0\0\x01\0\x04\0\0\0\x02")),
        (
            "an acknowledgment that nobody waits for",
            Answers(&[]),
            [frame(SETTINGS, ACK, 0, &[]), frame(SETTINGS, ACK, 0, &[])].concat(),
        ),
        ("PUSH_PROMISE", Goaway(PROTOCOL), [post(1), frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\x02")].concat()),
    ]);
}

#[test]
fn section_6_7_to_6_10_ping_goaway_windows_and_continuation() {
    check_server(&[
        ("an acknowledgment of PING", Told("pong"), frame(PING, ACK, 0, b"12345678")),
        ("PING on a stream", Goaway(PROTOCOL), frame(PING, 0, 1, b"12345678")),
        ("PING of a wrong size", Goaway(FRAME_SIZE), frame(PING, 0, 0, b"123456")),
        ("GOAWAY", Told("goaway 0 0"), frame(GOAWAY, 0, 0, b"\0\0\0\0\0\0\0\0bye")),
        ("GOAWAY on a stream", Goaway(PROTOCOL), frame(GOAWAY, 0, 1, b"\0\0\0\0\0\0\0\0")),
        ("GOAWAY of a wrong size", Goaway(FRAME_SIZE), frame(GOAWAY, 0, 0, b"\0\0\0\0\0\0\0")),
        (
            "a client that goes still gets its answers",
            Answers(&[1]),
            [post(1), frame(GOAWAY, 0, 0, &[0; 8]), last_data(1, b"x")].concat(),
        ),
        ("WINDOW_UPDATE by 0", Goaway(PROTOCOL), window_update(0, 0)),
        ("WINDOW_UPDATE by 0 with the reserved bit", Goaway(PROTOCOL), window_update(0, 1 << 31)),
        ("WINDOW_UPDATE by 0 on a stream", Reset(1, PROTOCOL), [post(1), window_update(1, 0)].concat()),
        ("WINDOW_UPDATE of a wrong size", Goaway(FRAME_SIZE), frame(WINDOW_UPDATE, 0, 0, b"123")),
        ("a window too large", Goaway(FLOW_CONTROL), window_update(0, (1 << 31) - 1)),
        ("a window as large as can be", Answers(&[1]), [window_update(0, (1 << 31) - 65_536), get(1)].concat()),
        ("a stream's window too large", Reset(1, FLOW_CONTROL), [post(1), window_update(1, (1 << 31) - 1)].concat()),
        (
            "too large by a setting",
            Goaway(FLOW_CONTROL),
            [post(1), window_update(1, (1 << 31) - 65_536), setting(4, 65_536)].concat(),
        ),
        (
            "CONTINUATION in many pieces",
            Answers(&[1]),
            [
                frame(HEADERS, END_STREAM, 1, b""),
                frame(CONTINUATION, 0, 1, &GET[..2]),
                frame(CONTINUATION, 0, 1, b""),
                frame(CONTINUATION, END_HEADERS, 1, &GET[2..]),
            ]
            .concat(),
        ),
        (
            "CONTINUATION behind a whole head",
            Goaway(PROTOCOL),
            [post(1), frame(CONTINUATION, END_HEADERS, 1, b"")].concat(),
        ),
        (
            "CONTINUATION behind DATA",
            Goaway(PROTOCOL),
            [post(1), data(1, b"x"), frame(CONTINUATION, END_HEADERS, 1, b"")].concat(),
        ),
        (
            "DATA between pieces",
            Goaway(PROTOCOL),
            [post(1), frame(HEADERS, END_STREAM, 1, b""), data(1, b"x")].concat(),
        ),
    ]);
}

#[test]
fn rfc_9218_section_7_priority_updates() {
    let update = |id: u32, value: &[u8]| frame(PRIORITY_UPDATE, 0, 0, &[&id.to_be_bytes()[..], value].concat());
    check_server(&[
        ("before its stream", Answers(&[1]), [update(1, b"u=0"), get(1)].concat()),
        (
            "on an open stream, and a closed one",
            Answers(&[1]),
            [post(1), update(1, b"u=7, i"), last_data(1, b""), update(1, b"u=1")].concat(),
        ),
        ("of no dictionary", Answers(&[1]), [update(1, b"\xff\""), get(1)].concat()),
        ("on a stream", Goaway(PROTOCOL), frame(PRIORITY_UPDATE, 0, 1, b"\0\0\0\x01u=1")),
        ("of stream 0", Goaway(PROTOCOL), update(0, b"u=1")),
        ("of a stream that only a push opens", Goaway(PROTOCOL), update(2, b"u=1")),
        ("of a wrong size", Goaway(FRAME_SIZE), frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0")),
    ]);
}
