//! A request's head is read as the slow reference reads it, however it is cut, and httparse takes what we take.

use crate::heads::{self, LIMITS, Parsed, TIGHT};
use crate::reference::{Read, request};

pub fn check(data: &[u8]) {
    for limits in [LIMITS, TIGHT] {
        let parsed = heads::request(data, limits, &[]);
        for cuts in heads::cuts(data.len()) {
            assert_eq!(heads::request(data, limits, &cuts), parsed, "cut at {cuts:?}");
        }
        match (request::head(data, limits), &parsed) {
            (Read::Partial, Ok(None) | Err(_)) | (Read::Refused, Err(_)) => {}
            (Read::Whole(mut head), Ok(Some(parsed))) => {
                head.fields = heads::shown(&head.fields, &["Host", "Transfer-Encoding"]);
                assert_eq!(*parsed, head);
            }
            (read, parsed) => panic!("{read:?} became {parsed:?}"),
        }
        agrees_with_httparse(data, &parsed);
    }
    // What is refused before it is whole could not have become a request.
    for end in ["\r\n\r\n", "\n\r\n", "\r\nHost: a\r\n\r\n", " HTTP/1.1\r\nHost: a\r\n\r\n", "/ HTTP/1.0\r\n\r\n"] {
        if let Read::Whole(_) = request::head(&[data, end.as_bytes()].concat(), LIMITS) {
            assert!(heads::request(data, LIMITS, &[]).is_ok(), "refused too early");
        }
    }
}

fn agrees_with_httparse(data: &[u8], parsed: &Parsed<request::Head>) {
    let Ok(Some(head)) = parsed else { return };
    let mut fields = [httparse::EMPTY_HEADER; 512];
    let mut request = httparse::Request::new(&mut fields);
    assert_eq!(request.parse(data), Ok(httparse::Status::Complete(head.consumed)));
    assert_eq!(request.method.map(str::as_bytes), Some(&head.method[..]));
    assert_eq!((request.path, request.version), (Some(&head.target[..]), Some(u8::from(head.http11))));
    let of_httparse = request.headers.iter().map(|field| (field.name.as_bytes().to_vec(), field.value.to_vec()));
    assert_eq!(heads::shown(&of_httparse.collect(), &["Host", "Transfer-Encoding"]), head.fields);
}
