//! What servers may and may not do. The client has sent a GET on stream 1, and on stream 3 a POST whose
//! content is still to come.

use super::peer::*;
use super::*;
use crate::message::Header;

use Expect::{Goaway, Reset, Told};

const PROTOCOL: u32 = 1;
const FLOW_CONTROL: u32 = 3;
const CLOSED: u32 = 5;
const FRAME_SIZE: u32 = 6;
const COMPRESSION: u32 = 9;

/// `:status: 200`.
const OK: &[u8] = b"\x88";

fn ok(id: u32, flags: u8) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | flags, id, OK)
}

fn head(id: u32, flags: u8, fields: &[(&str, &str)]) -> Vec<u8> {
    let block: Vec<u8> = fields.iter().flat_map(|(name, value)| literal(name, value)).collect();
    frame(HEADERS, END_HEADERS | flags, id, &block)
}

#[test]
fn a_client_says_its_preface_and_settings_before_its_requests() {
    let mut client = End::client(CoreSettings::default());
    client.send();
    assert!(client.sent.starts_with(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    let kinds: Vec<_> = frames(&client.sent).iter().map(|frame| (frame.kind, frame.id)).collect();
    use frame::FrameKind::{Headers, Settings, WindowUpdate};
    assert_eq!(kinds, [(Settings, 0), (WindowUpdate, 0), (Headers, 1), (Headers, 3)]);
}

#[test]
fn section_3_4_a_server_says_its_settings_first() {
    for wrong in [ping(), ok(1, END_STREAM), frame(SETTINGS, ACK, 0, &[]), b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()]
    {
        let outcome = run(&|| End::client(CoreSettings::default()), &wrong);
        assert!(outcome.fault.is_some(), "{}", wrong.escape_ascii());
    }
}

#[test]
fn sections_4_to_6_frames() {
    check_client(&[
        ("unknown type", Told("response 200 of 1, ends: true"), [frame(0xee, 0, 1, b"x"), ok(1, END_STREAM)].concat()),
        ("too large", Goaway(FRAME_SIZE), frame(HEADERS, END_HEADERS, 1, &vec![0; 16_385])),
        ("fields that cannot be decoded", Goaway(COMPRESSION), frame(HEADERS, END_HEADERS, 1, b"\xbe")),
        (
            "CONTINUATION of another stream",
            Goaway(PROTOCOL),
            [frame(HEADERS, 0, 1, OK), frame(CONTINUATION, END_HEADERS, 3, b"")].concat(),
        ),
        ("CONTINUATION of nothing", Goaway(PROTOCOL), frame(CONTINUATION, END_HEADERS, 1, b"")),
        (
            "a head in pieces",
            Told("response 200 of 1"),
            [frame(HEADERS, END_STREAM, 1, b""), frame(CONTINUATION, END_HEADERS, 1, OK)].concat(),
        ),
        ("a padded head", Told("response 200 of 1"), frame(HEADERS, WHOLE | PADDED, 1, b"\x01\x88\0")),
        ("more padding than frame", Goaway(PROTOCOL), frame(HEADERS, WHOLE | PADDED, 1, b"\x03\x88\0")),
        ("idle: HEADERS", Goaway(PROTOCOL), ok(5, 0)),
        ("idle: HEADERS of a server's stream", Goaway(PROTOCOL), ok(2, 0)),
        ("idle: DATA", Goaway(PROTOCOL), data(5, b"x")),
        ("idle: DATA of a server's stream", Goaway(PROTOCOL), data(2, b"x")),
        ("idle: RST_STREAM", Goaway(PROTOCOL), reset(5, 8)),
        ("idle: WINDOW_UPDATE", Goaway(PROTOCOL), window_update(5, 1)),
        ("closed: DATA", Reset(1, CLOSED), [ok(1, END_STREAM), data(1, b"x")].concat()),
        ("closed: HEADERS", Goaway(CLOSED), [ok(1, END_STREAM), ok(1, 0)].concat()),
        ("half-closed: DATA", Goaway(CLOSED), [ok(1, 0), last_data(1, b"x"), ok(1, END_STREAM)].concat()),
        (
            "closed: WINDOW_UPDATE and RST_STREAM",
            Told("response 200 of 1"),
            [ok(1, END_STREAM), window_update(1, 1), reset(1, 0)].concat(),
        ),
        ("a push", Goaway(PROTOCOL), frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\x02\x82")),
        ("ENABLE_PUSH of 1", Goaway(PROTOCOL), setting(2, 1)),
        ("ENABLE_PUSH of 0", Told("settings"), setting(2, 0)),
        ("MAX_FRAME_SIZE too small", Goaway(PROTOCOL), setting(5, 1)),
        ("INITIAL_WINDOW_SIZE too large", Goaway(FLOW_CONTROL), setting(4, 1 << 31)),
        (
            "too large by a setting",
            Goaway(FLOW_CONTROL),
            [window_update(3, (1 << 31) - 65_536), setting(4, 65_536)].concat(),
        ),
        ("RST_STREAM of a wrong size", Goaway(FRAME_SIZE), frame(RST_STREAM, 0, 1, b"1")),
        ("SETTINGS of a wrong size", Goaway(FRAME_SIZE), frame(SETTINGS, 0, 0, b"1")),
        ("SETTINGS on a stream", Goaway(PROTOCOL), frame(SETTINGS, 0, 1, b"")),
        ("PING of a wrong size", Goaway(FRAME_SIZE), frame(PING, 0, 0, b"1")),
        ("PING on a stream", Goaway(PROTOCOL), frame(PING, 0, 1, b"12345678")),
        ("GOAWAY on a stream", Goaway(PROTOCOL), frame(GOAWAY, 0, 1, &[0; 8])),
        ("DATA on stream 0", Goaway(PROTOCOL), data(0, b"x")),
        ("HEADERS on stream 0", Goaway(PROTOCOL), ok(0, 0)),
        ("PRIORITY", Told("response 200 of 1"), [frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1]), ok(1, END_STREAM)].concat()),
        ("PRIORITY_UPDATE", Goaway(PROTOCOL), frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\x01u=1")),
        ("WINDOW_UPDATE by 0", Goaway(PROTOCOL), window_update(0, 0)),
        ("WINDOW_UPDATE by 0 on a stream", Reset(3, PROTOCOL), window_update(3, 0)),
        ("a window too large", Goaway(FLOW_CONTROL), window_update(0, (1 << 31) - 1)),
        ("a stream's window too large", Reset(3, FLOW_CONTROL), window_update(3, (1 << 31) - 1)),
    ]);
}

#[test]
fn section_8_responses() {
    let status = |value| head(1, END_STREAM, &[(":status", value)]);
    check_client(&[
        ("with content", Told("end of 1 after 3 bytes"), [ok(1, 0), data(1, b"ab"), last_data(1, b"c")].concat()),
        (
            "with a trailer section",
            Told("trailer {\"x\": \"y\"} of 1 after 1 bytes"),
            [ok(1, 0), data(1, b"a"), head(1, END_STREAM, &[("x", "y")])].concat(),
        ),
        (
            "interim ones before it",
            Told("response 200 of 1, ends: true"),
            [head(1, 0, &[(":status", "103")]), head(1, 0, &[(":status", "100")]), ok(1, END_STREAM)].concat(),
        ),
        ("an interim one that ends the stream", Reset(1, PROTOCOL), head(1, END_STREAM, &[(":status", "103")])),
        ("101", Reset(1, PROTOCOL), head(1, 0, &[(":status", "101")])),
        ("content before it", Reset(1, PROTOCOL), data(1, b"x")),
        (
            "content behind an interim one",
            Reset(1, PROTOCOL),
            [head(1, 0, &[(":status", "100")]), data(1, b"x")].concat(),
        ),
        ("no status", Reset(1, PROTOCOL), head(1, END_STREAM, &[("x", "y")])),
        ("a status that is none", Reset(1, PROTOCOL), status("2000")),
        ("a field in capitals", Reset(1, PROTOCOL), head(1, END_STREAM, &[(":status", "200"), ("X", "y")])),
        (
            "a field of a connection",
            Reset(1, PROTOCOL),
            head(1, END_STREAM, &[(":status", "200"), ("connection", "y")]),
        ),
        ("a field of requests", Reset(1, PROTOCOL), head(1, END_STREAM, &[(":status", "200"), (":path", "/")])),
        ("a trailer section that does not end the stream", Reset(1, PROTOCOL), [ok(1, 0), ok(1, 0)].concat()),
        (
            "less content than announced",
            Reset(1, PROTOCOL),
            [head(1, 0, &[(":status", "200"), ("content-length", "2")]), last_data(1, b"x")].concat(),
        ),
        (
            "more content than announced",
            Reset(1, PROTOCOL),
            [head(1, 0, &[(":status", "200"), ("content-length", "1")]), data(1, b"xy")].concat(),
        ),
        (
            "none in place of some",
            Reset(1, PROTOCOL),
            head(1, END_STREAM, &[(":status", "200"), ("content-length", "1")]),
        ),
        (
            "a 304 with a length",
            Told("response 304 of 1, ends: true"),
            head(1, END_STREAM, &[(":status", "304"), ("content-length", "1")]),
        ),
        (
            "an early answer, and no more of the request wanted",
            Told("response 200 of 3, ends: true"),
            [ok(3, END_STREAM), reset(3, 0)].concat(),
        ),
        ("a reset", Told("reset of 1 by Peer with 7"), reset(1, 7)),
    ]);
}

#[test]
fn the_response_to_head_has_a_length_and_no_content() {
    let head_request = |script: &[u8]| {
        let make = || {
            let mut end = End::client(CoreSettings::default());
            let header = Header::new();
            end.core.begin_request(&request("HEAD", &header), MessageEnd::Here, Pending::default()).unwrap();
            end
        };
        run(&make, &[frame(SETTINGS, 0, 0, &[]), script.to_vec()].concat()).told
    };
    let with_length = head(5, END_STREAM, &[(":status", "200"), ("content-length", "9")]);
    assert!(head_request(&with_length)[1].starts_with("response 200 of 5, ends: true"));
    let open = head(5, 0, &[(":status", "200"), ("content-length", "9")]);
    let told = head_request(&[open, data(5, b"x")].concat());
    assert_eq!(told[2], "reset of 5 by Us with 1");
}

#[test]
fn a_tunnel_has_content_whatever_its_response_says_of_a_length() {
    let tunnel = |status, script: &[Vec<u8>]| {
        let make = || {
            let mut end = End::client(CoreSettings::default());
            let header = Header::new();
            let head = Http2RequestHead { scheme: None, path: None, ..request("CONNECT", &header) };
            end.core.begin_request(&head, MessageEnd::MoreFollows, Pending::default()).unwrap();
            end
        };
        let response = head(5, 0, &[(":status", status), ("content-length", "1")]);
        run(&make, &[&frame(SETTINGS, 0, 0, &[])[..], &response, &script.concat()].concat()).told
    };
    assert_eq!(tunnel("200", &[data(5, b"abc"), last_data(5, b"de")]).last().unwrap(), "end of 5 after 5 bytes");
    assert_eq!(tunnel("502", &[data(5, b"abc")]).last().unwrap(), "reset of 5 by Us with 1");
}

#[test]
fn section_6_8_streams_above_a_goaway_are_known_to_be_untouched() {
    let script = [frame(SETTINGS, 0, 0, &[]), frame(GOAWAY, 0, 0, b"\0\0\0\x01\0\0\0\0"), ok(1, END_STREAM)].concat();
    let outcome = run(&|| End::client(CoreSettings::default()), &script);
    assert_eq!(outcome.told[..3], ["settings", "goaway 1 0", "reset of 3 by Goaway with 7"]);
    assert!(outcome.told[3].starts_with("response 200 of 1"));
    // A second one may name fewer, and not more.
    let script =
        [script[..26].to_vec(), frame(GOAWAY, 0, 0, b"\0\0\0\x03\0\0\0\0"), frame(GOAWAY, 0, 0, &[0; 8])].concat();
    let outcome = run(&|| End::client(CoreSettings::default()), &script);
    let expected = [
        "settings",
        "goaway 1 0",
        "reset of 3 by Goaway with 7",
        "goaway 1 0",
        "goaway 0 0",
        "reset of 1 by Goaway with 7",
    ];
    assert_eq!(outcome.told, expected);
}

#[test]
fn requests_begin_as_far_as_the_peer_allows() {
    let mut client = End::client(CoreSettings::default());
    let header = Header::new();
    let begin =
        |client: &mut End| client.core.begin_request(&request("GET", &header), MessageEnd::Here, Pending::default());
    client.take(&setting(3, 2));
    assert_eq!(begin(&mut client), Err(CannotBegin::Full));
    client.take(&ok(1, END_STREAM));
    assert!(begin(&mut client).is_ok(), "one has ended");
    assert_eq!(begin(&mut client), Err(CannotBegin::Full));
    client.take(&setting(3, 0));
    assert_eq!(begin(&mut client), Err(CannotBegin::Full), "0 is none at present");
    client.take(&setting(3, 100));
    assert!(begin(&mut client).is_ok());
    client.take(&frame(GOAWAY, 0, 0, b"\0\0\0\x07\0\0\0\0"));
    assert_eq!(begin(&mut client), Err(CannotBegin::Going));
}

#[test]
fn identifiers_are_used_up_in_the_end() {
    let mut core: Http2Core<()> = Http2Core::new(Role::Client, CoreSettings::default());
    core.last_stream_id = (1 << 31) - 3;
    let header = Header::new();
    assert!(core.begin_request(&request("GET", &header), MessageEnd::Here, ()).is_ok());
    assert_eq!(core.begin_request(&request("GET", &header), MessageEnd::Here, ()), Err(CannotBegin::UsedUp));
}
