//! The status line (RFC 9112 §4): `HTTP-version SP status-code SP [ reason-phrase ]`.

use http::{StatusCode, Version};

use crate::error::Refusal;
use crate::message::has_control;

/// A status line taken apart. The reason is for people, and HTTP/2 has none: it is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StatusLine {
    pub(super) version: Version,
    pub(super) status: StatusCode,
}

/// What each status line starts with.
pub(super) const START: &[u8; 7] = b"HTTP/1.";

pub(super) const CONTROL: Refusal = Refusal::bad("a control character in the status line");

impl StatusLine {
    /// A line without its line end.
    pub(super) fn parse(line: &[u8]) -> Result<StatusLine, Refusal> {
        match StatusLine::split(line) {
            // All that stands before the reason is known then.
            Ok((line, reason)) if !has_control(reason) => Ok(line),
            Err(refusal) if !has_control(line) => Err(refusal),
            _ => Err(CONTROL),
        }
    }

    /// And the reason, with the space before it.
    fn split(line: &[u8]) -> Result<(StatusLine, &[u8]), Refusal> {
        const BAD_VERSION: Refusal = Refusal::bad("the status line is not of HTTP/1.1 or HTTP/1.0");
        const BAD_STATUS: Refusal = Refusal::bad("the status is not one of three digits from 100 on");
        let (version, rest) = match line.split_first_chunk() {
            Some((b"HTTP/1.1 ", rest)) => (Version::HTTP_11, rest),
            Some((b"HTTP/1.0 ", rest)) => (Version::HTTP_10, rest),
            _ => return Err(BAD_VERSION),
        };
        let (code, reason) = rest.split_first_chunk::<3>().ok_or(BAD_STATUS)?;
        // Without a reason some leave out the space before it too.
        if !matches!(reason, [] | [b' ', ..]) {
            return Err(BAD_STATUS);
        }
        let status = StatusCode::from_bytes(code).map_err(|_| BAD_STATUS)?;
        Ok((StatusLine { version, status }, reason))
    }
}
