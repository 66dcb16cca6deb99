//! A response's head is read as the slow reference reads it, however it is cut, and httparse takes what we take.

use nethttp::fuzzing::FuzzRequestKind;

use crate::heads::{self, LIMITS, TIGHT};
use crate::reference::{Read, response};

pub fn check(data: &[u8]) {
    for asked in [FuzzRequestKind::Other, FuzzRequestKind::Head, FuzzRequestKind::Connect, FuzzRequestKind::Upgrade] {
        for limits in [LIMITS, TIGHT] {
            let parsed = heads::response(data, limits, asked, &[]);
            for cuts in heads::cuts(data.len()) {
                assert_eq!(heads::response(data, limits, asked, &cuts), parsed, "{asked:?} cut at {cuts:?}");
            }
            match (response::head(data, limits, asked), &parsed) {
                (Read::Partial, Ok(None) | Err(_)) | (Read::Refused, Err(_)) => {}
                (Read::Whole(mut head), Ok(Some(parsed))) => {
                    head.fields = heads::shown(&head.fields, &["Transfer-Encoding"]);
                    assert_eq!(*parsed, head, "{asked:?}");
                    agrees_with_httparse(data, parsed);
                }
                (read, parsed) => panic!("{asked:?}: {read:?} became {parsed:?}"),
            }
        }
    }
}

/// It keeps the line ends of folded lines, and is not asked for their values.
fn agrees_with_httparse(data: &[u8], head: &response::Head) {
    let mut fields = [httparse::EMPTY_HEADER; 512];
    let mut response = httparse::Response::new(&mut fields);
    let mut config = httparse::ParserConfig::default();
    config.allow_obsolete_multiline_headers_in_responses(true);
    assert_eq!(config.parse_response(&mut response, data), Ok(httparse::Status::Complete(head.consumed)));
    assert_eq!((response.code, response.version), (Some(head.status), Some(u8::from(head.http11))));
    let names = response.headers.iter().map(|field| (field.name.as_bytes().to_vec(), Vec::new())).collect();
    let names = heads::shown(&names, &["Transfer-Encoding"]);
    assert!(names.iter().zip(&head.fields).all(|(theirs, ours)| theirs.0 == ours.0));
}
