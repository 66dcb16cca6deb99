//! Windows on both sides, who is asked for content and when, and priorities.

use super::super::frame::{CONNECTION_PREFACE, FrameKind};
use super::peer::*;
use super::*;

fn server(content: usize, script: &[u8]) -> End {
    let mut end = End::server(CoreSettings::default());
    end.content = vec![b'x'; content];
    end.take(&[CONNECTION_PREFACE, &frame(SETTINGS, 0, 0, &[]), script].concat());
    end
}

/// How much content of a stream was sent, in which frames, and whether its end.
fn content_of(end: &End, id: u32) -> (Vec<usize>, bool) {
    let of_stream = frames(&end.sent).into_iter().filter(|frame| frame.kind == FrameKind::Data && frame.id == id);
    let frames: Vec<_> = of_stream.collect();
    let ended = frames.last().is_some_and(|frame| frame.flags & END_STREAM != 0);
    (frames.iter().map(|frame| frame.payload.len()).collect(), ended)
}

#[test]
fn no_more_is_sent_than_the_windows_allow_and_the_rest_when_they_open() {
    let mut end = server(70_000, &get(1));
    assert_eq!(content_of(&end, 1), (vec![16_384, 16_384, 16_384, 16_383], false));
    end.take(&window_update(1, 10));
    assert_eq!(content_of(&end, 1).0.len(), 4, "the connection's window is shut still");
    end.take(&window_update(0, 100_000));
    assert_eq!(content_of(&end, 1).0[4..], [10]);
    end.take(&window_update(1, 100_000));
    let (sizes, ended) = content_of(&end, 1);
    assert_eq!((sizes.iter().sum::<usize>(), ended), (70_000, true));
    assert_eq!(end.core.stream_count(), 0);
}

#[test]
fn a_window_of_one_byte_sends_one_byte() {
    let mut end = server(3, &[setting(4, 1), get(1)].concat());
    assert_eq!(content_of(&end, 1), (vec![1], false));
    end.take(&setting(4, 2));
    assert_eq!(content_of(&end, 1), (vec![1, 1], false));
    end.take(&setting(4, 0));
    end.take(&window_update(1, 1));
    assert_eq!(content_of(&end, 1), (vec![1, 1], false), "from -2 to -1");
    end.take(&setting(4, 3));
    assert_eq!(content_of(&end, 1), (vec![1, 1, 1], true));
}

#[test]
fn section_6_5_3_settings_count_in_their_order_and_are_acknowledged_each() {
    let twice = frame(SETTINGS, 0, 0, b"\0\x04\0\0\0\x01\0\x04\0\0\0\x02");
    let end = server(5, &[twice, get(1), setting(3, 7)].concat());
    assert_eq!(content_of(&end, 1), (vec![2], false));
    let is_acknowledgment = |frame: &&SentFrame| frame.kind == FrameKind::Settings && frame.flags == ACK;
    assert_eq!(frames(&end.sent).iter().filter(is_acknowledgment).count(), 3);
    assert_eq!(end.core.peer_settings().max_concurrent_streams, Some(7));
}

#[test]
fn section_4_3_1_the_table_of_the_decoder_is_what_was_acknowledged() {
    let with_table = |bytes, script: &[Vec<u8>]| {
        let make = move || End::server(CoreSettings { header_table_bytes: bytes, ..CoreSettings::default() });
        let outcome =
            run(&make, &[&[CONNECTION_PREFACE, &frame(SETTINGS, 0, 0, &[])].concat(), &script.concat()[..]].concat());
        (answered(&outcome.frames), outcome.fault.map(|fault| fault.code.0))
    };
    let acknowledged = frame(SETTINGS, ACK, 0, &[]);
    let sized = |id, size: &[u8]| frame(HEADERS, WHOLE, id, &[size, GET].concat());
    // 100 bytes: not known yet, then due at once, then known.
    let small = [get(1), acknowledged.clone(), sized(3, b"\x3f\x45"), get(5)];
    assert_eq!(with_table(100, &small), (vec![1, 3, 5], None));
    assert_eq!(with_table(100, &[acknowledged.clone(), get(1)]), (vec![], Some(9)));
    assert_eq!(with_table(100, &[acknowledged.clone(), sized(1, b"\x3f\x46")]), (vec![], Some(9)));
    // 8,192 bytes: only when the client has said that it knows.
    assert_eq!(with_table(8192, &[acknowledged, sized(1, b"\x3f\xe1\x3f"), get(3)]), (vec![1, 3], None));
    assert_eq!(with_table(8192, &[sized(1, b"\x3f\xe1\x3f")]), (vec![], Some(9)));
}

#[test]
fn the_table_of_the_encoder_is_what_the_peer_allows() {
    let mut end = server(0, &[setting(1, 0), get(1), setting(1, 100_000), get(3)].concat());
    let heads: Vec<Vec<u8>> = frames(&end.sent)
        .into_iter()
        .filter(|frame| frame.kind == FrameKind::Headers)
        .map(|frame| frame.payload)
        .collect();
    // `:status: 200`, behind what became of the size.
    assert_eq!(heads, [&b"\x20\x88"[..], b"\x3f\xe1\x1f\x88"]);
    end.sent.clear();
    end.take(&get(5));
    assert_eq!(frames(&end.sent)[0].payload, b"\x88");
}

#[test]
fn an_end_needs_no_window() {
    let mut end = server(0, &[setting(4, 0), post(1), last_data(1, b"")].concat());
    assert_eq!(content_of(&end, 1), (vec![0], true));
    let slot = {
        end.content = b"x".to_vec();
        end.take(&[post(3), last_data(3, b"")].concat());
        end.core.slots().next().unwrap()
    };
    // What waited for the window has become an end.
    end.core.user(slot).unwrap().content.clear();
    end.core.want_to_send(slot);
    end.send();
    assert_eq!(content_of(&end, 3), (vec![0], true));
}

#[test]
fn one_stream_without_a_window_holds_up_no_other() {
    let mut end = server(40_000, &[setting(4, 30_000), get(1), get(3)].concat());
    let sent = |end: &End, id| content_of(end, id).0.iter().sum::<usize>();
    assert_eq!((sent(&end, 1), sent(&end, 3)), (30_000, 30_000));
    end.take(&window_update(3, 50_000));
    assert_eq!((sent(&end, 1), sent(&end, 3)), (30_000, 35_535));
    end.take(&window_update(0, 50_000));
    assert_eq!((sent(&end, 1), sent(&end, 3)), (30_000, 40_000));
    end.take(&reset(1, 8));
    assert!(!end.core.has_output() && end.core.stream_count() == 0);
}

#[test]
fn a_stream_that_is_closed_is_asked_for_nothing_whatever_it_waited_for() {
    let mut end = server(100_000, &[setting(4, 1 << 20), post(1), post(3), get(5)].concat());
    // However often it is woken for nothing, it waits once.
    let waiting = end.core.slots().last().unwrap();
    for _ in 0..5 {
        end.core.want_to_send(waiting);
        end.send();
    }
    assert_eq!(end.core.short_of_window, [waiting]);
    let slots: Vec<u32> = end.core.slots().collect();
    // One is in the scheduler, one has nothing to send, one waits for the connection's window.
    end.core.want_to_send(slots[0]);
    for slot in slots {
        end.core.close(slot, fault::ErrorCode::CANCEL);
    }
    end.sent.clear();
    end.sent.extend(end.core.output().take_all());
    assert_eq!(end.sent, [reset(1, 8), reset(3, 8), reset(5, 8)].concat());
    assert!(!end.core.has_output() && end.core.short_of_window.is_empty());
}

#[test]
fn frames_are_as_large_as_the_peer_takes_them_and_the_head_too() {
    let mut end = server(60_000, &[setting(5, 50_000), get(1)].concat());
    assert_eq!(content_of(&end, 1), (vec![50_000, 10_000], true));
    let header = [("x-large", "v".repeat(120_000))].into_iter().collect();
    end.take(&post(3));
    let slot = end.core.slots().next().unwrap();
    end.core.send_response(slot, &response(200, &header), MessageEnd::Here);
    end.send();
    let head: Vec<_> = frames(&end.sent).into_iter().filter(|frame| frame.id == 3).collect();
    let shown: Vec<_> = head.iter().map(|frame| (frame.kind, frame.flags)).collect();
    let (more, last) = ((FrameKind::Continuation, 0), (FrameKind::Continuation, END_HEADERS));
    assert_eq!(shown, [(FrameKind::Headers, END_STREAM), more, last]);
    assert!(head.iter().all(|frame| frame.payload.len() <= 50_000));
}

#[test]
fn content_beyond_a_window_is_a_fault_of_the_stream_or_of_the_connection() {
    let settings =
        CoreSettings { stream_window_bytes: 70_000, connection_window_bytes: 100_000, ..CoreSettings::default() };
    let mut end = End::server(settings);
    let piece = [0; 16_000];
    let preface = [CONNECTION_PREFACE, &frame(SETTINGS, 0, 0, &[]), &frame(SETTINGS, ACK, 0, &[]), &post(1)].concat();
    end.take(&preface);
    // Nobody reads it: what is under way is not released.
    let mut head = ReceivedHead::default();
    let feed = |end: &mut End, id, count: usize, head: &mut ReceivedHead| {
        let bytes = data(id, &piece).repeat(count);
        let mut input = &bytes[..];
        let mut last = Ok(None);
        while let Ok(Some(event)) = end.core.next(&mut input, head) {
            let shown = format!("{event:?}");
            last = Ok(Some(shown[..shown.len().min(20)].to_owned()));
        }
        match end.core.next(&mut input, head) {
            Err(fault) => Err(fault.words),
            Ok(_) => last,
        }
    };
    assert!(feed(&mut end, 1, 4, &mut head).unwrap().unwrap().starts_with("Data"));
    assert!(feed(&mut end, 1, 1, &mut head).unwrap().unwrap().starts_with("Reset"), "64,000 and 16,000 of 70,000");
    end.take(&post(3));
    assert!(feed(&mut end, 3, 2, &mut head).unwrap().is_some());
    assert!(end.core.output().take_all().len() < 200);
    let over = feed(&mut end, 3, 1, &mut head);
    assert!(end.core.stage == super::super::event::CoreStage::Failed, "96,000 and 16,000 of 100,000: {over:?}");
}

#[test]
fn what_nobody_has_read_makes_room_for_others_when_its_stream_is_closed() {
    let settings =
        CoreSettings { stream_window_bytes: 100_000, connection_window_bytes: 100_000, ..CoreSettings::default() };
    let mut core: Http2Core<()> = Http2Core::new(Role::Server, settings);
    let mut head = ReceivedHead::default();
    let script = [CONNECTION_PREFACE, &frame(SETTINGS, 0, 0, &[]), &post(1)].concat();
    let mut input = &script[..];
    let mut slot = None;
    while let Some(event) = core.next(&mut input, &mut head).unwrap() {
        if let CoreEvent::Request(request) = event {
            slot = Some(core.open(request, ()));
        }
    }
    // Whole frames, one that is padded, and one that is cut off.
    let content = [data(1, &[0; 16_000]), frame(DATA, PADDED, 1, b"\x05ab\0\0\0\0\0"), data(1, &[0; 9_000])].concat();
    let mut input = &content[..content.len() - 4_000];
    while core.next(&mut input, &mut head).unwrap().is_some() {}
    assert_eq!(core.receive_window.unreleased(), 16_000 + 2 + 9_000);
    core.close(slot.unwrap(), fault::ErrorCode::CANCEL);
    assert_eq!(core.receive_window.unreleased(), 0);
    let mut rest = &content[content.len() - 4_000..];
    assert_eq!(core.next(&mut rest, &mut head), Ok(None));
    assert_eq!(core.receive_window.unreleased(), 0);
    // And what comes for it still.
    let late = frame(DATA, PADDED, 1, b"\x05ab\0\0\0\0\0");
    assert_eq!(core.next(&mut &late[..], &mut head), Ok(None));
    assert_eq!(core.receive_window.unreleased(), 0);
}

#[test]
fn more_than_came_is_not_released() {
    let mut end = End::server(CoreSettings { connection_window_bytes: 65_535, ..CoreSettings::default() });
    end.take(&[CONNECTION_PREFACE, &frame(SETTINGS, 0, 0, &[]), &post(1)].concat());
    let slot = end.core.slots().next().unwrap();
    end.sent.clear();
    end.core.release(slot, 1 << 20);
    end.send();
    assert!(end.sent.is_empty());
}

#[test]
fn a_peer_is_told_of_room_when_half_of_a_window_was_read() {
    let settings =
        CoreSettings { stream_window_bytes: 20_000, connection_window_bytes: 65_535, ..CoreSettings::default() };
    let mut end = End::server(settings);
    end.take(&[CONNECTION_PREFACE, &frame(SETTINGS, 0, 0, &[]), &frame(SETTINGS, ACK, 0, &[]), &post(1)].concat());
    end.sent.clear();
    end.take(&data(1, &[0; 9_999]));
    assert!(end.sent.is_empty());
    end.take(&data(1, &[0; 1]));
    assert_eq!(end.sent, window_update(1, 10_000));
    end.sent.clear();
    end.take(&[data(1, &[0; 10_000]), data(1, &[0; 10_000]), data(1, &[0; 2_768])].concat());
    assert_eq!(end.sent, [window_update(1, 10_000), window_update(1, 10_000), window_update(0, 32_768)].concat());
}

/// The order in which frames of content were sent, by their streams.
fn order(end: &End) -> Vec<u32> {
    let is_content = |frame: &SentFrame| (frame.kind == FrameKind::Data).then_some(frame.id);
    frames(&end.sent).iter().filter_map(is_content).collect()
}

fn with_priority(id: u32, value: &str) -> Vec<u8> {
    let block = [GET, &literal("priority", value)].concat();
    frame(HEADERS, WHOLE, id, &block)
}

/// Requests that come while the window is shut, which then opens.
fn shut_then_open(requests: &[Vec<u8>]) -> Vec<u32> {
    let mut end = server(30_000, &[setting(4, 0), requests.concat()].concat());
    assert!(order(&end).is_empty());
    end.take(&[window_update(0, 1 << 20), setting(4, 1 << 20)].concat());
    order(&end)
}

#[test]
fn rfc_9218_the_urgent_are_first_and_the_incremental_take_turns() {
    let by_urgency = [with_priority(1, "u=5"), with_priority(3, "u=1"), with_priority(5, "u=3")];
    assert_eq!(shut_then_open(&by_urgency), [3, 3, 5, 5, 1, 1]);
    let shared = [with_priority(1, "i"), with_priority(3, "i")];
    assert_eq!(shut_then_open(&shared), [1, 3, 1, 3]);
    assert_eq!(shut_then_open(&[get(1), get(3)]), [1, 3, 1, 3], "who knows no priorities shares");
    let aware = [with_priority(1, "u=3"), get(3)];
    assert_eq!(shut_then_open(&aware), [1, 1, 3, 3], "who does has said that they go one by one");
}

#[test]
fn rfc_9218_a_priority_can_come_before_its_stream_and_change_later() {
    let update = |id: u32, value: &[u8]| frame(PRIORITY_UPDATE, 0, 0, &[&id.to_be_bytes()[..], value].concat());
    let early = [update(3, b"u=0"), with_priority(1, "u=2"), with_priority(3, "u=6")];
    assert_eq!(shut_then_open(&early), [3, 3, 1, 1]);
    let late = [with_priority(1, "u=2"), with_priority(3, "u=6"), update(3, b"u=0")];
    assert_eq!(shut_then_open(&late), [3, 3, 1, 1]);
}

#[test]
fn rfc_9218_a_stream_that_is_in_the_scheduler_changes_its_place() {
    let update = |id: u32, value: &[u8]| frame(PRIORITY_UPDATE, 0, 0, &[&id.to_be_bytes()[..], value].concat());
    let mut end = server(0, &[post(1), post(3)].concat());
    let slots: Vec<u32> = end.core.slots().collect();
    slots.iter().for_each(|slot| end.core.want_to_send(*slot));
    let mut head = ReceivedHead::default();
    assert_eq!(end.core.next(&mut &update(3, b"u=0")[..], &mut head), Ok(None));
    let asked: Vec<u32> = std::iter::from_fn(|| end.core.next_to_send()).map(|asked| asked.slot).collect();
    assert_eq!(asked, [slots[1], slots[0]]);
    assert!(end.core.scheduler.is_empty());
}
