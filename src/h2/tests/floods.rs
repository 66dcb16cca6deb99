//! Every flood is bounded, in what it costs and in what it holds, and the connection ends for it.

use super::super::fault::ErrorCode;
use super::super::frame::CONNECTION_PREFACE;
use super::peer::*;
use super::*;

/// Feeds a piece, again and again, to a server whose output nobody takes. Returns after how many the
/// connection ended, and with which words.
fn flood(settings: CoreSettings, piece: impl Fn(u32) -> Vec<u8>) -> Option<(u32, &'static str)> {
    let mut end = End::server(settings);
    end.content.clear();
    end.take(&[CONNECTION_PREFACE, &frame(SETTINGS, 0, 0, &[])].concat());
    for n in 0..3_000 {
        end.take(&piece(n));
        end.told.clear();
        end.sent.clear();
        assert!(end.core.held() < 300_000, "{} bytes after {n}", end.core.held());
        if let Some(fault) = end.fault {
            assert_eq!(fault.code, ErrorCode::ENHANCE_YOUR_CALM, "{}", fault.words);
            return Some((n, fault.words));
        }
    }
    None
}

fn settings() -> CoreSettings {
    let mut settings = CoreSettings::default();
    settings.limits.max_control_frames = 1000;
    settings
}

#[test]
fn frames_that_bring_nothing_are_counted() {
    let calm = "too many frames without a request or content";
    let kinds: [(&str, &dyn Fn(u32) -> Vec<u8>); 9] = [
        ("PING", &|_| ping()),
        ("an acknowledged PING", &|_| frame(PING, ACK, 0, b"12345678")),
        ("SETTINGS", &|n| setting(4, n)),
        ("an acknowledgment", &|_| frame(SETTINGS, ACK, 0, &[])),
        ("PRIORITY", &|_| frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 1])),
        ("WINDOW_UPDATE", &|_| window_update(0, 1)),
        ("PRIORITY_UPDATE", &|_| frame(PRIORITY_UPDATE, 0, 0, b"\0\0\0\x01u=1")),
        ("unknown frames", &|_| frame(0xee, 0, 0, b"")),
        ("GOAWAY", &|_| frame(GOAWAY, 0, 0, &[0; 8])),
    ];
    for (name, piece) in kinds {
        let (count, words) = flood(settings(), piece).unwrap_or_else(|| panic!("{name} is not bounded"));
        assert!((990..=1001).contains(&count) && words == calm, "{name}: {count} {words}");
    }
}

#[test]
fn empty_data_frames_are_counted_with_them_in_words_of_their_own() {
    for empty in [data(1, b""), frame(DATA, PADDED, 1, b"\x01\0")] {
        let flooded = flood(settings(), |n| if n == 0 { post(1) } else { empty.clone() });
        assert!(matches!(flooded, Some((990..=1001, "too many small DATA frames"))), "{flooded:?}");
    }
}

#[test]
fn interim_responses_are_counted() {
    let mut end = End::client(settings());
    let interim = frame(HEADERS, END_HEADERS, 1, &literal(":status", "103"));
    end.take(&[frame(SETTINGS, 0, 0, &[]), interim.repeat(1001)].concat());
    assert_eq!(end.fault.unwrap().words, "too many frames without a request or content");
    assert!(end.told.len() > 990);
}

#[test]
fn rapid_reset_is_counted_and_less_what_was_answered() {
    let rapid = |n: u32| [post(2 * n + 1), reset(2 * n + 1, 8)].concat();
    assert_eq!(flood(settings(), rapid), Some((500, "too many requests were given up")));
    // Each of these is answered, and so is one more.
    let mixed = |n: u32| [get(4 * n + 1), post(4 * n + 3), reset(4 * n + 3, 8)].concat();
    assert_eq!(flood(settings(), mixed), None);
}

#[test]
fn streams_that_have_to_be_reset_are_counted() {
    let reset_here = "too many streams had to be reset";
    let kinds: [(&str, &dyn Fn(u32) -> Vec<u8>); 6] = [
        ("WINDOW_UPDATE by 0", &|n| [post(2 * n + 1), window_update(2 * n + 1, 0)].concat()),
        ("a window too large", &|n| [post(2 * n + 1), window_update(2 * n + 1, (1 << 31) - 1)].concat()),
        ("PRIORITY of a wrong size", &|n| [post(2 * n + 1), frame(PRIORITY, 0, 2 * n + 1, b"1")].concat()),
        ("a malformed request", &|n| frame(HEADERS, WHOLE, 2 * n + 1, b"\x82")),
        ("DATA on a closed stream", &|n| [get(2 * n + 1), data(2 * n + 1, b"x")].concat()),
        ("a stream that depends on itself", &|n| {
            let id = (2 * n + 1).to_be_bytes();
            frame(HEADERS, WHOLE | WITH_PRIORITY, 2 * n + 1, &[&id[..], b"\x01", GET].concat())
        }),
    ];
    let mut settings = settings();
    settings.limits.max_control_frames = u32::MAX;
    for (name, piece) in kinds {
        assert_eq!(flood(settings, piece), Some((1024, reset_here)), "{name}");
    }
}

#[test]
fn streams_that_are_too_many_are_refused_and_that_is_counted() {
    let (count, words) = flood(settings(), |n| post(2 * n + 1)).unwrap();
    assert_eq!((count, words), (250 + 1024, "too many streams had to be reset"));
}

#[test]
fn continuation_is_bounded_by_count_and_by_size() {
    let mut settings = settings();
    settings.limits.list.max_bytes = 64 << 10;
    settings.limits.max_control_frames = u32::MAX;
    let empty = |n| if n == 0 { frame(HEADERS, 0, 1, GET) } else { frame(CONTINUATION, 0, 1, b"") };
    assert_eq!(flood(settings, empty), Some((14, "too many CONTINUATION frames")));
    let full = |n| if n == 0 { frame(HEADERS, 0, 1, GET) } else { frame(CONTINUATION, 0, 1, &[0xbe; 16_384]) };
    assert_eq!(flood(settings, full), Some((5, "far too many header fields")));
}

#[test]
fn small_frames_that_nobody_reads_are_bounded_and_those_that_are_read_are_not() {
    for (reads, words) in [(true, None), (false, Some("too many small DATA frames"))] {
        let mut settings = settings();
        settings.limits.max_small_data_bytes = 63 * 100;
        let mut end = End::server(settings);
        end.reads = reads;
        end.take(&[CONNECTION_PREFACE, &frame(SETTINGS, 0, 0, &[]), &post(1), &data(1, b"x").repeat(100)].concat());
        assert_eq!(end.fault, None);
        end.take(&data(1, b"x"));
        assert_eq!(end.fault.map(|fault| fault.words), words);
    }
}

#[test]
fn content_that_nobody_reads_holds_up_no_other_stream_while_there_is_not_too_much_of_it() {
    for (max_unread_bytes, held_up) in [(0, 1 << 16), (1 << 20, 0), (40_000, 1 << 15)] {
        let mut settings = settings();
        (settings.connection_window_bytes, settings.stream_window_bytes) = (1 << 17, 1 << 17);
        settings.max_unread_bytes = max_unread_bytes;
        let mut end = End::server(settings);
        end.reads = false;
        let hello = [CONNECTION_PREFACE, &frame(SETTINGS, 0, 0, &[]), &frame(SETTINGS, 1, 0, &[])].concat();
        end.take(&[hello, post(1)].concat());
        for _ in 0..4 {
            end.take(&data(1, &[b'x'; 1 << 14]));
        }
        assert_eq!(end.core.receive_window.unreleased(), held_up, "{max_unread_bytes}");
        let slot = end.core.slots().next().unwrap();
        end.core.release(slot, 1 << 16);
        assert_eq!((end.core.receive_window.unreleased(), end.core.owed_bytes), (0, 0), "{max_unread_bytes}");
    }
}

#[test]
fn a_byte_for_a_field_of_4_kib_holds_no_more_than_the_limit() {
    let mut settings = settings();
    settings.limits.list.max_bytes = 64 << 10;
    let large = [GET, b"\x40\x01x\x7f\xa1\x1e", &[b'v'; 4000][..]].concat();
    let mut end = End::server(settings);
    end.take(&[CONNECTION_PREFACE, &frame(SETTINGS, 0, 0, &[]), &frame(HEADERS, WHOLE, 1, &large)].concat());
    end.take(&frame(HEADERS, WHOLE, 3, &[&GET[..3], &[0xbe; 60][..]].concat()));
    assert!(end.told.last().unwrap().starts_with("request (3, true, true)"));
    assert!(end.told.last().unwrap().len() < 100_000 && end.core.held() < 20_000);
    // What is far beyond the limit is not even answered.
    end.take(&frame(HEADERS, WHOLE, 5, &[&GET[..3], &[0xbe; 16_000][..]].concat()));
    assert_eq!(end.fault.unwrap().words, "far too many header fields");
}

#[test]
fn a_peer_that_takes_no_answers_is_not_read_from_and_given_up_by_who_reads_on() {
    let mut settings = settings();
    settings.limits.max_control_frames = u32::MAX;
    let mut core: Http2Core<()> = Http2Core::new(Role::Server, settings);
    let mut head = ReceivedHead::default();
    let mut feed = |core: &mut Http2Core<()>, bytes: &[u8]| core.next(&mut &bytes[..], &mut head).map(|_| ());
    feed(&mut core, &[CONNECTION_PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).unwrap();
    let mut pings = 0;
    while core.wants_input() {
        feed(&mut core, &ping()).unwrap();
        pings += 1;
    }
    assert!(pings > 15_000 && core.output().len() < (256 << 10) + 17, "{pings} answers wait");
    for answered in [ping(), setting(3, 1)] {
        let mut core: Http2Core<()> = Http2Core::new(Role::Server, settings);
        feed(&mut core, &[CONNECTION_PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).unwrap();
        let end = (0..1_000_000).find_map(|_| feed(&mut core, &answered).err());
        assert_eq!(end.unwrap().words, "answers that are not read");
    }
}

#[test]
fn a_period_later_all_is_counted_anew() {
    let mut end = End::server(settings());
    end.take(&[CONNECTION_PREFACE, &frame(SETTINGS, 0, 0, &[])].concat());
    for period in 0..5 {
        end.core.set_now_ms(period * 10_000);
        end.take(&ping().repeat(900));
    }
    assert_eq!(end.fault, None);
}
