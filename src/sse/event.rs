//! An event, and how it is written.

use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::message::has_control;

/// The name of an event that has been given none.
pub(super) const DEFAULT_NAME: &str = "message";

/// An event: to be sent by a server, or received by a client.
///
/// ```
/// use nethttp::sse::Event;
///
/// let event = Event { id: Some("7".into()), ..Event::named("price", "eggs\n3.20") };
/// assert_eq!(event.encode()?, "event: price\nid: 7\ndata: eggs\ndata: 3.20\n\n");
/// # Ok::<(), nethttp::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What kind of event it is: which listeners a browser calls. `message`, and the same if it is empty, unless it
    /// was set.
    pub name: String,
    /// The text, of as many lines as it has. CR and CRLF between them arrive as LF.
    pub data: String,
    /// What a client sends as `Last-Event-ID` when it connects again. `None` leaves the id of the events before as it
    /// is, and an empty one takes it back. On an event that was received it is the id that counts after it, which
    /// may be an earlier event's; `None` if there is none.
    pub id: Option<String>,
    /// How long a client is to wait before it connects again. Sent in whole milliseconds.
    pub retry: Option<Duration>,
    /// Text that no client shows: for those who read the bytes. `None` on an event that was received.
    pub comment: Option<String>,
}

impl Event {
    /// An event with this text, and without name and id.
    pub fn new(data: impl Into<String>) -> Event {
        Event::named(DEFAULT_NAME, data)
    }

    /// An event of this name with this text.
    pub fn named(name: impl Into<String>, data: impl Into<String>) -> Event {
        Event { name: name.into(), data: data.into(), id: None, retry: None, comment: None }
    }

    /// An event whose text is this value as JSON.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a value that JSON cannot express.
    #[cfg(feature = "json")]
    pub fn json<T: serde::Serialize + ?Sized>(name: impl Into<String>, value: &T) -> Result<Event> {
        let data = serde_json::to_string(value).map_err(|error| {
            Error::new(ErrorKind::Invalid, "the value of an event cannot be written as JSON").with_source(error)
        })?;
        Ok(Event::named(name, data))
    }

    /// The event as it is sent.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where a name or an id has a control character: a line break in it would begin another
    /// field, an id with NUL is ignored by every client, and one with others cannot come back in a header field.
    pub fn encode(&self) -> Result<String> {
        if has_control(self.name.as_bytes()) {
            return Err(Error::new(ErrorKind::Invalid, "the name of an event has a control character"));
        }
        if self.id.as_ref().is_some_and(|id| has_control(id.as_bytes())) {
            return Err(Error::new(ErrorKind::Invalid, "the id of an event has a control character"));
        }
        let mut text = String::with_capacity(self.data.len() + self.name.len() + 32);
        if let Some(comment) = &self.comment {
            push_comment(&mut text, comment);
        }
        if !self.name.is_empty() && self.name != DEFAULT_NAME {
            push_line(&mut text, "event:", &self.name);
        }
        if let Some(id) = &self.id {
            push_line(&mut text, "id:", id);
        }
        if let Some(retry) = self.retry {
            let millis = u64::try_from(retry.as_millis()).unwrap_or(u64::MAX);
            push_line(&mut text, "retry:", &millis.to_string());
        }
        for line in lines(&self.data) {
            push_line(&mut text, "data:", line);
        }
        text.push('\n');
        Ok(text)
    }
}

/// Lines that every client passes over.
pub(super) fn push_comment(text: &mut String, comment: &str) {
    for line in lines(comment) {
        push_line(text, ":", line);
    }
}

/// A field. The blank is always there: it is taken off by the reader, and would else be the first one of the value.
fn push_line(text: &mut String, field: &str, value: &str) {
    text.push_str(field);
    if !value.is_empty() {
        text.push(' ');
        text.push_str(value);
    }
    text.push('\n');
}

/// The lines, which end at LF, CR or CRLF. Each of these ends a line for a reader, so each has to end one here: else
/// text with a CR in it could begin a field.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some((line, after)) = text.find(['\r', '\n']).and_then(|at| text.split_at_checked(at)) else {
            rest = None;
            return Some(text);
        };
        rest = after.strip_prefix("\r\n").or_else(|| after.get(1..));
        Some(line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_has_its_line_and_each_line_of_the_text_its_own() {
        let full = Event {
            name: "price".into(),
            data: "a\nb\rc\r\nd\n".into(),
            id: Some("7 é".into()),
            retry: Some(Duration::from_micros(2_500)),
            comment: Some("for\rreaders".into()),
        };
        let expected =
            ": for\n: readers\nevent: price\nid: 7 é\nretry: 2\ndata: a\ndata: b\ndata: c\ndata: d\ndata:\n\n";
        assert_eq!(full.encode().unwrap(), expected);
        assert_eq!(Event::new("").encode().unwrap(), "data:\n\n");
        assert_eq!(Event::new(" x").encode().unwrap(), "data:  x\n\n");
        assert_eq!(Event { id: Some(String::new()), ..Event::named("", "x") }.encode().unwrap(), "id:\ndata: x\n\n");
    }

    #[test]
    fn names_and_ids_that_would_break_the_stream_are_refused() {
        for bad in ["a\nb", "a\rb", "\0", "a\u{7f}"] {
            assert_eq!(Event::named(bad, "x").encode().unwrap_err().kind(), ErrorKind::Invalid, "{bad:?}");
            let event = Event { id: Some(bad.into()), ..Event::new("x") };
            assert_eq!(event.encode().unwrap_err().kind(), ErrorKind::Invalid, "{bad:?}");
        }
    }

    #[cfg(feature = "json")]
    #[test]
    fn a_value_is_text_as_json() {
        let event = Event::json("list", &[1, 2]).unwrap();
        assert_eq!(event.encode().unwrap(), "event: list\ndata: [1,2]\n\n");
    }
}
