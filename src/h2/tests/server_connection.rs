//! How a server's connection begins (RFC 9113 §3.4), and what of it no script of frames alone can say.

use super::super::frame::{CONNECTION_PREFACE, FrameKind};
use super::peer::*;
use super::*;

#[test]
fn what_comes_for_a_stream_that_was_reset_here_is_ignored_and_resets_nothing_again() {
    let script =
        [post(1), window_update(1, 0), data(1, b"x"), frame(HEADERS, WHOLE, 1, b"\x40\x01x\x01y"), get(3)].concat();
    let with_entry = [script, frame(HEADERS, WHOLE, 5, &[GET, b"\xbe"].concat())].concat();
    let settings = [CONNECTION_PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    let outcome = run(&|| End::server(Default::default()), &[settings, with_entry].concat());
    let resets = outcome.frames.iter().filter(|frame| frame.kind == FrameKind::RstStream);
    assert_eq!((resets.count(), answered(&outcome.frames)), (1, vec![3, 5]), "{:?}", outcome.told);
}

#[test]
fn a_stream_that_has_ended_makes_room_for_another() {
    let begun = |range: std::ops::Range<u32>| range.flat_map(|n| post(2 * n + 1)).collect::<Vec<u8>>();
    let mut end = End::server(CoreSettings { max_concurrent_streams: 10, ..CoreSettings::default() });
    end.take(&[CONNECTION_PREFACE, &frame(SETTINGS, 0, 0, &[]), &begun(0..11)].concat());
    end.take(&[last_data(5, b""), last_data(1, b"")].concat());
    assert_eq!(end.core.stream_count(), 8);
    end.take(&begun(11..14));
    let refused: Vec<u32> =
        frames(&end.sent).iter().filter(|frame| frame.kind == FrameKind::RstStream).map(|frame| frame.id).collect();
    assert_eq!((refused, end.core.stream_count()), (vec![21, 27], 10));
}

#[test]
fn section_3_4_the_preface_and_the_first_settings() {
    let server = || End::server(CoreSettings::default());
    let settings = frame(SETTINGS, 0, 0, &[]);
    let whole = run(&server, &[CONNECTION_PREFACE, &settings, &get(1)].concat());
    assert_eq!((whole.fault, answered(&whole.frames)), (None, vec![1]));
    assert_eq!(whole.frames[0].kind, frame::FrameKind::Settings, "a server says its settings first");
    for wrong in [
        [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rX"[..], &settings].concat(),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        [CONNECTION_PREFACE, &ping()].concat(),
        [CONNECTION_PREFACE, &get(1)].concat(),
        [CONNECTION_PREFACE, &frame(SETTINGS, ACK, 0, &[])].concat(),
        [CONNECTION_PREFACE, &frame(0xee, 0, 0, &[]), &settings].concat(),
    ] {
        let fault = run(&server, &wrong).fault.unwrap();
        assert_eq!(fault.code, fault::ErrorCode::PROTOCOL_ERROR, "{}", wrong.escape_ascii());
    }
}

#[test]
fn a_list_over_the_limit_is_a_request_all_the_same_and_its_table_goes_on() {
    let mut settings = CoreSettings::default();
    settings.limits.list.max_fields = 6;
    let server = || End::server(settings);
    let script = [
        CONNECTION_PREFACE,
        &frame(SETTINGS, 0, 0, &[]),
        &frame(HEADERS, WHOLE, 1, &[GET, b"\x40\x01x\x01y", b"\xbe\xbe\xbe\xbe\xbe"].concat()),
        &frame(HEADERS, WHOLE, 3, &[&GET[..3], b"\xbe"].concat()),
    ];
    let outcome = run(&server, &script.concat());
    assert!(outcome.told[1].starts_with("request (1, true, true)"), "{:?}", outcome.told);
    assert!(outcome.told[2].starts_with("request (3, true, false)"), "{:?}", outcome.told);
}

#[test]
fn an_extended_connect_that_was_offered_is_a_request() {
    let protocol =
        [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", "/"), (":authority", "a")];
    let block: Vec<u8> = protocol.iter().flat_map(|(name, value)| literal(name, value)).collect();
    let offered = || End::server(CoreSettings { enables_connect_protocol: true, ..CoreSettings::default() });
    let script = [CONNECTION_PREFACE, &frame(SETTINGS, 0, 0, &[]), &frame(HEADERS, WHOLE, 1, &block)].concat();
    assert_eq!(answered(&run(&offered, &script).frames), [1]);
}

#[test]
fn a_server_names_the_last_stream_when_it_fails() {
    let outcome = run(
        &|| End::server(CoreSettings::default()),
        &[CONNECTION_PREFACE, &frame(SETTINGS, 0, 0, &[]), &get(1), &get(5), &data(0, b"x")].concat(),
    );
    let last = outcome.frames.last().unwrap();
    assert_eq!((last.kind, &last.payload[..8]), (FrameKind::Goaway, &[0, 0, 0, 5, 0, 0, 0, 1][..]));
}
