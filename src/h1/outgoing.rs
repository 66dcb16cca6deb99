//! How the content of an answer is delimited, decided once.

use http::StatusCode;

/// What the head of a message says about its content. A request's is one of the first three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outgoing {
    /// No content, and no length: the status allows none, or nobody expects one of the method.
    None,
    /// `Content-Length`.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// Neither: the content ends with the connection.
    UntilClose,
    /// Neither: an answer to HEAD, and how long the content would be is not known.
    HeadUnknown,
}

/// What the framing of an answer depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutgoingResponse {
    pub(crate) head_request: bool,
    pub(crate) connect_request: bool,
    pub(crate) http10: bool,
    pub(crate) status: StatusCode,
    /// The `Content-Length` that the handler set.
    pub(crate) declared: Option<u64>,
    /// The length of the content, where all of it is known.
    pub(crate) whole: Option<u64>,
    /// Whether a trailer may follow.
    pub(crate) trailers: bool,
    /// Whether the handler asked for `Transfer-Encoding: identity`.
    pub(crate) close_delimited: bool,
}

/// RFC 9112 §6.3 and RFC 9110 §8.6.
pub(crate) fn outgoing_response(facts: &OutgoingResponse) -> Outgoing {
    match *facts {
        // RFC 9110 §8.6: no length in 1xx and 204; §15.4.5: and none is needed in 304.
        OutgoingResponse { status, .. } if !allows_content(status) => Outgoing::None,
        // RFC 9110 §9.3.6: behind a 2xx comes the tunnel.
        OutgoingResponse { connect_request: true, status, .. } if status.is_success() => Outgoing::None,
        // RFC 9110 §9.3.2: to HEAD what GET would have said, or nothing. A handler that wrote nothing
        // for HEAD has not said that there is nothing.
        OutgoingResponse { declared: Some(length), .. }
        | OutgoingResponse {
            head_request: true,
            trailers: false,
            close_delimited: false,
            whole: Some(length @ 1..),
            ..
        } => Outgoing::Length(length),
        OutgoingResponse { head_request: true, .. } => Outgoing::HeadUnknown,
        OutgoingResponse { close_delimited: true, .. } => Outgoing::UntilClose,
        // Only chunks can have a trailer behind them (RFC 9112 §7.1.2), and HTTP/1.0 has no chunks.
        OutgoingResponse { trailers: true, http10: false, .. } => Outgoing::Chunked,
        OutgoingResponse { whole: Some(length), .. } => Outgoing::Length(length),
        OutgoingResponse { http10: true, .. } => Outgoing::UntilClose,
        _ => Outgoing::Chunked,
    }
}

/// RFC 9110 §6.4.1.
pub(crate) fn allows_content(status: StatusCode) -> bool {
    !status.is_informational() && status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: OutgoingResponse = OutgoingResponse {
        head_request: false,
        connect_request: false,
        http10: false,
        status: StatusCode::OK,
        declared: None,
        whole: None,
        trailers: false,
        close_delimited: false,
    };
    const HEAD: OutgoingResponse = OutgoingResponse { head_request: true, ..PLAIN };
    const HTTP_10: OutgoingResponse = OutgoingResponse { http10: true, ..PLAIN };
    const CONNECT: OutgoingResponse = OutgoingResponse { connect_request: true, ..PLAIN };
    const WHOLE: Option<u64> = Some(5);

    #[test]
    fn content_is_delimited_by_what_is_known_of_it() {
        for (facts, expected) in [
            (PLAIN, Outgoing::Chunked),
            (OutgoingResponse { whole: WHOLE, ..PLAIN }, Outgoing::Length(5)),
            (OutgoingResponse { whole: Some(0), ..PLAIN }, Outgoing::Length(0)),
            (OutgoingResponse { declared: Some(7), ..PLAIN }, Outgoing::Length(7)),
            (OutgoingResponse { declared: Some(7), trailers: true, ..PLAIN }, Outgoing::Length(7)),
            (OutgoingResponse { declared: Some(7), close_delimited: true, ..PLAIN }, Outgoing::Length(7)),
            (OutgoingResponse { whole: WHOLE, trailers: true, ..PLAIN }, Outgoing::Chunked),
            (OutgoingResponse { whole: WHOLE, close_delimited: true, ..PLAIN }, Outgoing::UntilClose),
            (HTTP_10, Outgoing::UntilClose),
            (OutgoingResponse { whole: WHOLE, ..HTTP_10 }, Outgoing::Length(5)),
            (OutgoingResponse { whole: WHOLE, trailers: true, ..HTTP_10 }, Outgoing::Length(5)),
            (OutgoingResponse { trailers: true, ..HTTP_10 }, Outgoing::UntilClose),
        ] {
            assert_eq!(outgoing_response(&facts), expected, "{facts:?}");
        }
    }

    #[test]
    fn an_answer_to_head_says_what_get_would_or_nothing() {
        for (facts, expected) in [
            (HEAD, Outgoing::HeadUnknown),
            (OutgoingResponse { whole: Some(0), ..HEAD }, Outgoing::HeadUnknown),
            (OutgoingResponse { whole: WHOLE, ..HEAD }, Outgoing::Length(5)),
            (OutgoingResponse { whole: WHOLE, trailers: true, ..HEAD }, Outgoing::HeadUnknown),
            (OutgoingResponse { whole: WHOLE, close_delimited: true, ..HEAD }, Outgoing::HeadUnknown),
            (OutgoingResponse { declared: Some(0), whole: WHOLE, ..HEAD }, Outgoing::Length(0)),
            (OutgoingResponse { declared: Some(7), status: StatusCode::NOT_MODIFIED, ..HEAD }, Outgoing::None),
        ] {
            assert_eq!(outgoing_response(&facts), expected, "{facts:?}");
        }
    }

    #[test]
    fn where_no_content_may_be_there_is_no_length_either() {
        for status in [100, 101, 103, 204, 304] {
            let status = StatusCode::from_u16(status).unwrap();
            for facts in [PLAIN, HEAD, HTTP_10, CONNECT] {
                let facts = OutgoingResponse { status, declared: Some(5), whole: WHOLE, ..facts };
                assert_eq!(outgoing_response(&facts), Outgoing::None, "{facts:?}");
            }
        }
        assert_eq!(outgoing_response(&OutgoingResponse { whole: WHOLE, ..CONNECT }), Outgoing::None);
        let refused = OutgoingResponse { whole: WHOLE, status: StatusCode::FORBIDDEN, ..CONNECT };
        assert_eq!(outgoing_response(&refused), Outgoing::Length(5), "a tunnel refused is an ordinary answer");
    }
}
