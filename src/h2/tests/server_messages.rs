//! Requests as RFC 9113 §8 has them.

use super::peer::*;

use Expect::{Answers, Reset, Told};

const PROTOCOL: u32 = 1;

fn headers(id: u32, flags: u8, fields: &[(&str, &str)]) -> Vec<u8> {
    let block: Vec<u8> = fields.iter().flat_map(|(name, value)| literal(name, value)).collect();
    frame(HEADERS, flags, id, &block)
}

const REQUEST: [(&str, &str); 4] = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")];

fn with(more: &[(&str, &str)]) -> Vec<u8> {
    headers(1, WHOLE, &[&REQUEST, more].concat())
}

/// A POST that announces so much content.
fn announced(length: &str) -> Vec<u8> {
    headers(1, END_HEADERS, &[&[(":method", "POST")], &REQUEST[1..], &[("content-length", length)]].concat())
}

#[test]
fn section_8_1_messages() {
    let trailer = |flags, fields: &[(&str, &str)]| [post(1), data(1, b"ab"), headers(1, flags, fields)].concat();
    check_server(&[
        ("a trailer section", Told("trailer {\"x\": \"y\"} of 1 after 2 bytes"), trailer(WHOLE, &[("x", "y")])),
        ("one that does not end the stream", Reset(1, PROTOCOL), trailer(END_HEADERS, &[("x", "y")])),
        ("one with a pseudo-field", Reset(1, PROTOCOL), trailer(WHOLE, &[(":path", "/")])),
        ("one with a field of a connection", Reset(1, PROTOCOL), trailer(WHOLE, &[("connection", "x")])),
        ("one with a name in capitals", Reset(1, PROTOCOL), trailer(WHOLE, &[("X", "y")])),
        ("an empty one", Answers(&[1]), trailer(WHOLE, &[])),
        ("HEAD, and a method that nobody knows", Answers(&[1, 3]), {
            let method = |id, method| headers(id, WHOLE, &[&[(":method", method)], &REQUEST[1..]].concat());
            [method(1, "HEAD"), method(3, "BREW")].concat()
        }),
    ]);
}

#[test]
fn section_8_1_1_content_has_the_length_that_was_announced() {
    check_server(&[
        ("as announced", Answers(&[1]), [announced("3"), data(1, b"ab"), last_data(1, b"c")].concat()),
        ("with padding", Answers(&[1]), [announced("1"), frame(DATA, PADDED | END_STREAM, 1, b"\x02a\0\0")].concat()),
        ("less", Reset(1, PROTOCOL), [announced("3"), last_data(1, b"ab")].concat()),
        ("more", Reset(1, PROTOCOL), [announced("1"), data(1, b"ab")].concat()),
        ("more, in several frames", Reset(1, PROTOCOL), [announced("1"), data(1, b"a"), last_data(1, b"b")].concat()),
        ("none", Reset(1, PROTOCOL), [announced("1"), last_data(1, b"")].concat()),
        (
            "less before a trailer",
            Reset(1, PROTOCOL),
            [announced("2"), data(1, b"a"), headers(1, WHOLE, &[("x", "y")])].concat(),
        ),
        ("none at all", Reset(1, PROTOCOL), with(&[("content-length", "1")])),
        ("0 and none", Answers(&[1]), with(&[("content-length", "0")])),
    ]);
}

#[test]
fn section_8_2_and_8_3_malformed_requests_are_reset_and_the_next_ones_answered() {
    for (name, more) in [
        ("a name in capitals", ("X-Y", "z")),
        ("an empty name", ("", "z")),
        ("a name with a colon inside", ("x:y", "z")),
        ("a value with a line's end", ("x", "y\r\nz: w")),
        ("a value with NUL", ("x", "y\0")),
        ("an unknown pseudo-field", (":test", "ok")),
        ("a pseudo-field of responses", (":status", "200")),
        ("twice the path", (":path", "/")),
        ("twice the method", (":method", "GET")),
        ("twice the scheme", (":scheme", "http")),
        ("connection", ("connection", "keep-alive")),
        ("proxy-connection", ("proxy-connection", "close")),
        ("keep-alive", ("keep-alive", "5")),
        ("upgrade", ("upgrade", "h2c")),
        ("transfer-encoding", ("transfer-encoding", "chunked")),
        ("TE of another value", ("te", "trailers, deflate;q=0.5")),
    ] {
        let script = [with(&[more]), get(3)].concat();
        check_server(&[(name, Reset(1, PROTOCOL), script)]);
    }
    for missing in 0..3 {
        let mut fields = REQUEST.to_vec();
        fields.remove(missing);
        check_server(&[("something is missing", Reset(1, PROTOCOL), headers(1, WHOLE, &fields))]);
    }
    let behind: Vec<_> = [("x", "y")].into_iter().chain(REQUEST).collect();
    check_server(&[
        ("a pseudo-field behind others", Reset(1, PROTOCOL), headers(1, WHOLE, &behind)),
        ("an empty path", Reset(1, PROTOCOL), headers(1, WHOLE, &[REQUEST[0], REQUEST[1], (":path", ""), REQUEST[3]])),
        ("TE: trailers", Answers(&[1]), with(&[("te", "trailers")])),
        ("no authority", Answers(&[1]), headers(1, WHOLE, &REQUEST[..3])),
        (
            "pieces of a cookie",
            Told("cookie\": \"a=1; b=2\""),
            with(&[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2")]),
        ),
    ]);
}

#[test]
fn section_8_5_and_rfc_8441_connect() {
    let connect = headers(1, END_HEADERS, &[(":method", "CONNECT"), (":authority", "a:1")]);
    let protocol = [(":method", "CONNECT"), (":protocol", "websocket"), REQUEST[1], REQUEST[2], REQUEST[3]];
    check_server(&[
        ("CONNECT", Answers(&[1]), [connect, last_data(1, b"x")].concat()),
        (
            "CONNECT with a path",
            Reset(1, PROTOCOL),
            headers(1, WHOLE, &[(":method", "CONNECT"), (":authority", "a"), (":path", "/")]),
        ),
        ("CONNECT without a host", Reset(1, PROTOCOL), headers(1, WHOLE, &[(":method", "CONNECT")])),
        ("an extended CONNECT that was not offered", Reset(1, PROTOCOL), headers(1, WHOLE, &protocol)),
    ]);
}
