//! Bytes in, events out: the rules of "Interpreting an event stream", WHATWG HTML §9.2.6.
//!
//! A line ends at CR, LF or CRLF, and a CR at the end of what is here ends it too: whether an LF follows is seen
//! later, and then that LF is passed over. Waiting for it would hold an event back until the next one. Lines are
//! cut as bytes and decoded one by one; no character of UTF-8 has the byte of a line break in it, so that is the same
//! as decoding the stream.

use std::time::Duration;

use memchr::memchr2;

use super::event::{DEFAULT_NAME, Event};
use crate::error::{Error, Result};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads one stream. A new connection needs a new parser, which is told the id of the last event.
#[derive(Debug)]
pub(crate) struct EventParser {
    /// The most bytes that an event may take, and a line.
    max_bytes: usize,
    /// The part of a line that came so far.
    line: Vec<u8>,
    /// A CR has ended the last line: an LF that follows belongs to it.
    after_cr: bool,
    has_begun: bool,
    name: String,
    /// With an LF behind each line.
    data: String,
    retry: Option<Duration>,
    /// The id that this event sets, if it does; it counts once the event is complete.
    pending_id: Option<String>,
    last_id: String,
}

impl EventParser {
    pub(crate) fn new(max_bytes: usize, last_id: String) -> EventParser {
        EventParser {
            max_bytes,
            line: Vec::new(),
            after_cr: false,
            has_begun: false,
            name: String::new(),
            data: String::new(),
            retry: None,
            pending_id: None,
            last_id,
        }
    }

    /// The id of the last event that was complete, or what this parser began with.
    pub(crate) fn last_id(&self) -> &str {
        &self.last_id
    }

    /// The time that the stream asked for before a client connects again, since this was asked last. It counts from
    /// its line on, whether its event is complete or not.
    pub(crate) fn take_retry(&mut self) -> Option<Duration> {
        self.retry.take()
    }

    /// The next event, if these bytes complete one; they are shortened to those behind it. `None` when all are taken.
    /// What is not complete at the end of a stream is dropped with the parser, as the rules say.
    ///
    /// # Errors
    /// [`ErrorKind::BodyTooLarge`](crate::ErrorKind::BodyTooLarge) for an event or a line that is too long.
    pub(crate) fn next(&mut self, input: &mut &[u8]) -> Result<Option<Event>> {
        while !input.is_empty() {
            if std::mem::take(&mut self.after_cr) && input.first() == Some(&b'\n') {
                *input = input.get(1..).unwrap_or_default();
                continue;
            }
            let end = memchr2(b'\r', b'\n', input);
            let (part, rest) = input.split_at_checked(end.unwrap_or(input.len())).unwrap_or_default();
            self.check_length(part.len())?;
            self.line.extend_from_slice(part);
            let Some((break_byte, behind)) = rest.split_first() else {
                *input = rest;
                break;
            };
            self.after_cr = *break_byte == b'\r';
            *input = behind;
            let line = std::mem::take(&mut self.line);
            let event = self.end_line(&line);
            // The memory goes on with the next line, unless one was extraordinarily long.
            if line.capacity() <= 4096 {
                self.line = line;
                self.line.clear();
            }
            if event.is_some() {
                return Ok(event);
            }
        }
        Ok(None)
    }

    /// Invalid bytes become characters of three bytes each, so this is asked again with what was decoded.
    fn check_length(&self, more: usize) -> Result<()> {
        let id = self.pending_id.as_ref().map_or(0, String::len);
        let length = [self.line.len(), self.data.len(), self.name.len(), id];
        if length.iter().fold(more, |sum, length| sum.saturating_add(*length)) <= self.max_bytes {
            return Ok(());
        }
        Err(Error::too_large(self.max_bytes as u64, "an event is longer than its limit"))
    }

    fn end_line(&mut self, line: &[u8]) -> Option<Event> {
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        let line = if is_first { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line) } else { line };
        if line.is_empty() {
            return self.end_event();
        }
        let line = String::from_utf8_lossy(line);
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
            }
            "event" => value.clone_into(&mut self.name),
            "id" if !value.contains('\0') => self.pending_id = Some(value.to_owned()),
            "retry" => self.retry = millis(value).or(self.retry),
            // Comments, whose field is empty, and what later versions may bring.
            _ => {}
        }
        None
    }

    fn end_event(&mut self) -> Option<Event> {
        // The id counts even where there is no text, and then nothing is reported.
        if let Some(id) = self.pending_id.take() {
            self.last_id = id;
        }
        let name = std::mem::take(&mut self.name);
        let mut data = std::mem::take(&mut self.data);
        // Of text without a line there is no LF either.
        data.pop()?;
        Some(Event {
            name: if name.is_empty() { DEFAULT_NAME.to_owned() } else { name },
            data,
            id: (!self.last_id.is_empty()).then(|| self.last_id.clone()),
            retry: self.retry,
            comment: None,
        })
    }
}

/// Digits alone; a number beyond all is as long as it can be.
fn millis(value: &str) -> Option<Duration> {
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| Duration::from_millis(value.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    /// Name, text and id of all events, with the stream cut into these pieces.
    fn read(pieces: &[&[u8]]) -> Vec<(String, String, String)> {
        let mut parser = EventParser::new(1000, String::new());
        let mut events = Vec::new();
        for mut piece in pieces.iter().copied() {
            while let Some(event) = parser.next(&mut piece).unwrap() {
                events.push((event.name, event.data, event.id.unwrap_or_default()));
            }
        }
        events
    }

    #[test]
    fn a_stream_reads_the_same_wherever_it_is_cut() {
        let rows: &[(&[u8], &[(&str, &str, &str)])] = &[
            // The examples of the specification.
            (b"data: YHOO\ndata: +2\ndata: 10\n\n", &[("message", "YHOO\n+2\n10", "")]),
            (
                b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
                &[("message", "first event", "1"), ("message", "second event", ""), ("message", " third event", "")],
            ),
            (b"data\n\ndata\ndata\n\ndata:", &[("message", "", ""), ("message", "\n", "")]),
            (b"data:test\n\ndata: test\n\n", &[("message", "test", ""), ("message", "test", "")]),
            // Every end of a line, also mixed.
            (b"data: A\r\ndata: B\rdata: C\n\r\n", &[("message", "A\nB\nC", "")]),
            (
                b"data: A\r\rdata: B\r\n\r\ndata: C\n\n",
                &[("message", "A", ""), ("message", "B", ""), ("message", "C", "")],
            ),
            (b"data: A\r\n\ndata: B\n\r", &[("message", "A", ""), ("message", "B", "")]),
            // One mark at the start and no other.
            (b"\xef\xbb\xbfdata: x\n\n\xef\xbb\xbfdata: y\n\n", &[("message", "x", "")]),
            (b"\xef\xbb\xbf\xef\xbb\xbfdata: x\n\n", &[]),
            // An id stays until another comes; it counts without text, and one with NUL does not count.
            (
                b"id: 1\ndata: a\n\ndata: b\n\nid: 2\n\ndata: c\n\n",
                &[("message", "a", "1"), ("message", "b", "1"), ("message", "c", "2")],
            ),
            (b"id: 1\ndata: a\n\nid: 2\x003\ndata: b\n\n", &[("message", "a", "1"), ("message", "b", "1")]),
            // The name is that of one event, and an event without text takes it along.
            (
                b"event: a\ndata: 1\n\ndata: 2\n\nevent: b\n\ndata: 3\n\n",
                &[("a", "1", ""), ("message", "2", ""), ("message", "3", "")],
            ),
            // What is no field, and what is not UTF-8.
            (
                b"Data: 1\n data: 2\ndata : 3\nDATA\ndata: \xc3\x28\xff \xc3\xa9\n\n",
                &[("message", "\u{fffd}(\u{fffd} \u{e9}", "")],
            ),
            // Without an empty line there is no event.
            (b"data: x\n", &[]),
            (b"data: x\n\ndata: y", &[("message", "x", "")]),
        ];
        for (stream, expected) in rows {
            let expected = Vec::from_iter(expected.iter().map(|(n, d, i)| ((*n).into(), (*d).into(), (*i).into())));
            for at in 0..=stream.len() {
                let (before, after) = stream.split_at(at);
                assert_eq!(read(&[before, after]), expected, "{:?} cut at {at}", stream.escape_ascii().to_string());
            }
            let bytes = Vec::from_iter(stream.chunks(1));
            assert_eq!(read(&bytes), expected, "{:?} byte by byte", stream.escape_ascii().to_string());
        }
    }

    #[test]
    fn an_event_is_there_with_the_cr_of_its_empty_line() {
        assert_eq!(read(&[b"data: x\r\r"]).len(), 1);
    }

    #[test]
    fn the_time_to_wait_is_digits_alone() {
        let rows = [("retry: 15", Some(15)), ("retry:0", Some(0)), ("retry: 99999999999999999999999", Some(u64::MAX))];
        let bad = ["retry: 1s", "retry: -1", "retry: +1", "retry:", "retry", "retry: 1.5", "retry:  1"];
        for (line, expected) in rows.into_iter().chain(bad.map(|line| (line, None))) {
            let mut parser = EventParser::new(1000, String::new());
            assert_eq!(parser.next(&mut format!("{line}\n").as_bytes()).unwrap(), None);
            assert_eq!(parser.take_retry(), expected.map(Duration::from_millis), "{line}");
        }
    }

    #[test]
    fn lines_and_events_have_a_limit_and_comments_have_it_too() {
        let long = "x".repeat(20);
        let (many, end) = (format!("data: {long}\n"), "\n");
        for stream in [
            format!("data: {long}{long}"),
            format!(":{long}{long}"),
            format!("{many}{many}{end}"),
            format!("{many}event: {long}\n"),
        ] {
            let mut parser = EventParser::new(40, String::new());
            let error = parser.next(&mut stream.as_bytes()).unwrap_err();
            assert_eq!((error.kind(), error.limit_bytes()), (ErrorKind::BodyTooLarge, Some(40)), "{stream}");
        }
        // It is one event that is limited, and not all of them.
        let mut parser = EventParser::new(40, String::new());
        let stream = format!("{many}{end}").repeat(10);
        let mut input = stream.as_bytes();
        for _ in 0..10 {
            assert_eq!(parser.next(&mut input).unwrap().unwrap().data, long);
        }
    }

    #[test]
    fn what_is_written_reads_the_same() {
        let event =
            Event {
                id: Some("7 ü".into()), retry: Some(Duration::from_secs(1)), ..Event::named("price", " a\n\nb\n")
            };
        let text = event.encode().unwrap();
        assert_eq!(EventParser::new(1000, String::new()).next(&mut text.as_bytes()).unwrap(), Some(event));
    }
}
