//! The head of a response as `h2` takes it.

use std::time::Instant;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderMap, HeaderValue};
use http::{StatusCode, Version};

use crate::h1::Outgoing;
use crate::h2::{append_fields, append_trailer};
use crate::message::{Header, append_date};

/// The head of a response.
pub(crate) struct StreamHead<'a> {
    pub(crate) status: StatusCode,
    /// The handler's fields.
    pub(crate) header: &'a Header,
    pub(crate) outgoing: Outgoing,
    /// The type that was guessed, for a header without one.
    pub(crate) content_type: Option<&'static str>,
    /// Whether to add a `Date` to a header without one.
    pub(crate) date: bool,
    /// Whether nothing follows.
    pub(crate) ends: bool,
    /// Whether a trailer follows the content.
    pub(crate) trailer: bool,
}

impl StreamHead<'_> {
    /// Whether this content is all that follows: as long as the head says, and no trailer after it.
    pub(super) fn is_whole(&self, content: &[u8]) -> bool {
        !self.trailer && self.outgoing == Outgoing::Length(content.len() as u64)
    }
}

pub(super) fn response_of(head: &StreamHead<'_>) -> http::Response<()> {
    let mut response = http::Response::new(());
    *response.status_mut() = head.status;
    *response.version_mut() = Version::HTTP_2;
    let map = response.headers_mut();
    map.reserve(head.header.len() + 3);
    let seen = append_fields(map, head.header, head.status);
    if let Some(content_type) = head.content_type.filter(|_| !seen.content_type) {
        map.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    if let Outgoing::Length(length) = head.outgoing {
        map.insert(CONTENT_LENGTH, length_value(length));
    }
    if head.date && !seen.date {
        map.insert(DATE, now());
    }
    response
}

fn length_value(length: u64) -> HeaderValue {
    let mut digits = itoa::Buffer::new();
    HeaderValue::from_str(digits.format(length)).expect("digits are a value")
}

/// The present time as a field's value: one for all responses of a second.
fn now() -> HeaderValue {
    thread_local! {
        static NOW: std::cell::RefCell<(Vec<u8>, Option<HeaderValue>)> = const { std::cell::RefCell::new((Vec::new(), None)) };
    }
    NOW.with_borrow_mut(|(text, value)| {
        text.clear();
        append_date(text, Instant::now());
        match value {
            Some(value) if value.as_bytes() == text.as_slice() => value.clone(),
            _ => {
                let fresh = HeaderValue::from_bytes(text).unwrap_or(HeaderValue::from_static(""));
                value.insert(fresh).clone()
            }
        }
    })
}

pub(super) fn trailer_of(trailer: &Header) -> HeaderMap {
    let mut map = HeaderMap::new();
    append_trailer(&mut map, trailer);
    map
}
