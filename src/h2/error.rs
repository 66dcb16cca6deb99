//! Errors of the `h2` crate, turned into this crate's.

use std::io;

use h2::Reason;

use super::meter::Meter;
use crate::error::{Error, ErrorKind, Phase};

/// An error of one stream, while its content was read or written.
pub(crate) fn stream_error(error: h2::Error, phase: Phase) -> Error {
    if error.is_io() {
        return match error.into_io() {
            Some(error) if phase == Phase::Body && is_end(error.kind()) => Error::cut_off(phase),
            Some(error) => Error::from(error).during(phase),
            None => gone(phase),
        };
    }
    if error.is_reset() && error.is_library() {
        let words = "the peer broke the rules of its stream";
        return Error::new(ErrorKind::Refused, words).during(phase).with_status(http::StatusCode::BAD_REQUEST);
    }
    if error.is_reset() && error.is_remote() {
        return Error::new(ErrorKind::CutOff, "the peer reset the stream").during(phase).with_source(error);
    }
    gone(phase).with_source(error)
}

/// The connection was closed while something was to come: `h2`'s own error for that, which no read
/// of the system's ends with, and that of a TLS session without an end.
fn is_end(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof)
}

/// The stream, or its connection, is no more.
pub(super) fn gone(phase: Phase) -> Error {
    Error::new(ErrorKind::CutOff, "the stream is closed").during(phase)
}

/// The debug data that `h2` puts into a GOAWAY frame, and this crate's text for it. `h2` reports the reason
/// nowhere else.
const SAID: [(&str, &str); 5] = [
    ("too_many_resets", "too many requests were given up before they were taken"),
    ("too_many_internal_resets", "too many streams had to be reset"),
    ("too_many_continuations", "too many CONTINUATION frames"),
    ("header_list_way_too_large", "far too many header fields"),
    ("too_many_data_frames", "too many small DATA frames"),
];

/// What a GOAWAY frame at the end of these bytes says, where `h2` wrote it.
pub(super) fn said_last(bytes: &[u8]) -> Option<&'static str> {
    SAID.iter().find(|(said, _)| bytes.ends_with(said.as_bytes())).map(|(_, words)| *words)
}

/// Why `h2` ended a connection, as a fixed text; a fault of the connection's meter comes first.
pub(crate) fn in_words(error: &h2::Error, meter: Option<&Meter>) -> &'static str {
    if let Some(words) = meter.and_then(Meter::said_last) {
        return words;
    }
    match error.reason() {
        Some(Reason::FLOW_CONTROL_ERROR) => "more content than the window allows",
        Some(Reason::FRAME_SIZE_ERROR) => "a frame of a wrong size",
        Some(Reason::COMPRESSION_ERROR) => "header fields that cannot be decompressed",
        Some(Reason::STREAM_CLOSED) => "a frame on a stream that is closed",
        Some(Reason::ENHANCE_YOUR_CALM) => "too much of something",
        _ => "a frame against the rules",
    }
}
