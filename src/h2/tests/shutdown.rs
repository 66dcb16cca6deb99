//! The end of a connection, and the memory of one that has nothing to do.

use super::super::frame::{CONNECTION_PREFACE, FrameKind};
use super::peer::*;
use super::*;

fn server() -> End {
    let mut end = End::server(CoreSettings::default());
    end.take(&[CONNECTION_PREFACE, &frame(SETTINGS, 0, 0, &[]), &get(1)].concat());
    end.sent.clear();
    end
}

fn goaways(end: &End) -> Vec<(u32, u32)> {
    let number = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap());
    let of = |frame: &SentFrame| (number(&frame.payload[..4]), number(&frame.payload[4..8]));
    frames(&end.sent).iter().filter(|frame| frame.kind == FrameKind::Goaway).map(of).collect()
}

#[test]
fn section_6_8_what_is_on_its_way_when_a_shutdown_begins_is_answered() {
    let mut end = server();
    end.core.begin_shutdown();
    end.core.begin_shutdown();
    end.send();
    assert_eq!(goaways(&end), [((1 << 31) - 1, 0)]);
    assert!(!end.core.is_going());
    let sent = frames(&end.sent);
    let ping = sent.iter().find(|frame| frame.kind == FrameKind::Ping).unwrap();
    end.take(&[get(3), frame(PING, ACK, 0, &ping.payload), get(5)].concat());
    assert_eq!(goaways(&end), [((1 << 31) - 1, 0), (3, 0)]);
    assert!(end.core.is_going());
    assert_eq!(answered(&frames(&end.sent)), [3], "and the one that came after it is not");
    end.take(&frame(PING, ACK, 0, &ping.payload));
    assert!(end.told.last().unwrap().starts_with("pong"), "a second answer is none of the shutdown's");
}

#[test]
fn streams_above_the_last_are_ignored_and_still_decoded() {
    let mut end = server();
    end.core.goaway(fault::ErrorCode::NO_ERROR, "");
    let with_entry = [POST, b"\x40\x01x\x01y"].concat();
    end.take(&[frame(HEADERS, END_HEADERS, 3, &with_entry), data(3, b"x"), frame(HEADERS, WHOLE, 3, b"\xbe")].concat());
    end.take(&ping());
    assert_eq!(end.fault, None);
    let kinds: Vec<FrameKind> = frames(&end.sent).iter().map(|frame| frame.kind).collect();
    assert_eq!(kinds, [FrameKind::Goaway, FrameKind::Ping]);
}

#[test]
fn section_6_8_the_last_stream_that_is_said_does_not_grow() {
    let mut end = server();
    end.core.goaway(fault::ErrorCode::NO_ERROR, "");
    end.take(&[get(3), data(0, b"x")].concat());
    assert_eq!(goaways(&end), [(1, 0), (1, 1)]);
}

#[test]
fn a_fault_says_its_words_and_nothing_is_looked_at_behind_it() {
    let mut end = server();
    end.take(&[data(0, b"x"), get(3), ping()].concat());
    let sent = frames(&end.sent);
    assert_eq!(sent.len(), 1);
    assert_eq!(&sent[0].payload[8..], b"DATA on stream 0");
    assert_eq!(end.told.last().unwrap(), "fault: DATA on stream 0");
    assert!(!end.core.has_output() && end.core.is_going());
}

#[test]
fn a_client_says_that_it_leaves() {
    let mut end = End::client(CoreSettings::default());
    end.send();
    end.sent.clear();
    end.core.begin_shutdown();
    end.send();
    assert_eq!(goaways(&end), [(0, 0)]);
}

#[test]
fn a_driver_sees_whether_the_peer_owes_the_rest_of_a_head() {
    let mut core: Http2Core<()> = Http2Core::new(Role::Server, CoreSettings::default());
    let mut head = ReceivedHead::default();
    let script = [CONNECTION_PREFACE, &frame(SETTINGS, 0, 0, &[]), &frame(HEADERS, 0, 1, GET)].concat();
    let mut input = &script[..];
    assert!(core.next(&mut input, &mut head).unwrap().is_some() && !core.is_mid_head(b""));
    assert_eq!(core.next(&mut input, &mut head), Ok(None));
    assert!(core.is_mid_head(input) && core.has_begun());
    let rest = frame(CONTINUATION, END_HEADERS, 1, b"");
    let Ok(Some(CoreEvent::Request(request))) = core.next(&mut &rest[..], &mut head) else { panic!("no request") };
    core.open(request, ());
    assert!(!core.is_mid_head(b"") && core.is_mid_head(&rest[..5]), "the head of a frame that is cut");
    // A DATA frame that is cut off is no head.
    let content = data(1, b"abc");
    let mut input = &content[..10];
    while core.next(&mut input, &mut head).unwrap().is_some() {}
    assert!(!core.is_mid_head(input));
}

#[test]
fn an_idle_connection_gives_its_memory_back() {
    let mut end = server();
    end.content = vec![b'x'; 100_000];
    end.take(&[get(3), get(5), window_update(0, 1 << 20)].concat());
    assert_eq!(end.core.stream_count(), 2);
    end.take(&[window_update(3, 1 << 20), window_update(5, 1 << 20)].concat());
    end.core.release_memory();
    assert_eq!((end.core.stream_count(), end.core.has_output()), (0, false));
    let (inline, held) = (size_of::<Http2Core<Pending>>(), end.core.held());
    assert!(inline < 800 && held < 1200, "{inline} and {held} bytes");
}

#[test]
fn section_8_1_a_stream_that_is_closed_is_reset_with_no_error_where_its_response_is_whole() {
    let closed = |message_end: Option<MessageEnd>, ends: bool| {
        let mut end = server();
        end.take(&if ends { [post(3), last_data(3, b"x")].concat() } else { [post(3), data(3, b"x")].concat() });
        let slot = end.core.slots().next();
        if let (Some(slot), Some(message_end)) = (slot, message_end) {
            end.core.send_response(slot, &response(200, &crate::message::Header::new()), message_end);
        }
        slot.map(|slot| end.core.close(slot, fault::ErrorCode::INTERNAL_ERROR));
        end.send();
        let resets = frames(&end.sent).into_iter().filter(|frame| frame.kind == FrameKind::RstStream);
        resets.map(|frame| frame.payload[3]).collect::<Vec<u8>>()
    };
    assert_eq!(closed(Some(MessageEnd::Here), false), [0], "the rest of the request is of no use");
    assert_eq!(closed(Some(MessageEnd::MoreFollows), false), [2], "a response that is cut off");
    assert_eq!(closed(None, false), [2], "no response at all");
    assert!(closed(Some(MessageEnd::Here), true).is_empty(), "both have ended");
    let mut client = End::client(CoreSettings::default());
    client.send();
    client.sent.clear();
    let first = client.core.slots().next().unwrap();
    client.core.close(first, fault::ErrorCode::CANCEL);
    client.send();
    assert_eq!(client.sent, reset(1, 8), "its response is not wanted");
}

// RFC 9113 §5.1: "An endpoint MUST ignore frames that it receives on closed streams after it has sent a
// RST_STREAM frame", however many it has reset since.
#[test]
fn late_heads_of_any_number_of_requests_that_were_given_up_do_not_end_the_connection() {
    let mut client = End::client(CoreSettings::default());
    client.take(&frame(SETTINGS, 0, 0, &[]));
    let header = crate::message::Header::new();
    let given_up: Vec<u32> = (0..6000)
        .map(|_| {
            let slot =
                client.core.begin_request(&request("GET", &header), MessageEnd::Here, Pending::default()).unwrap();
            let id = client.core.stream_id(slot).unwrap();
            client.core.close(slot, fault::ErrorCode::CANCEL);
            id
        })
        .collect();
    for id in given_up {
        client.take(&frame(HEADERS, END_HEADERS, id, b"\x88"));
        assert_eq!(client.fault, None, "stream {id}");
    }
}
