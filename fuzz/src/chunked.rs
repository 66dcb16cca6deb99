//! Chunked content is what the slow reference reads, however it is cut, and never counts as whole before its end.

use nethttp::fuzzing::FuzzLimits;

use crate::heads;
use crate::reference::{Read, chunked, fields::is_name};

const TRAILER: FuzzLimits = FuzzLimits { max_bytes: 128, max_values: 3 };
const NEVER_A_TRAILER: [&str; 6] =
    ["Content-Length", "Transfer-Encoding", "Host", "Authorization", "Set-Cookie", "Connection"];

pub fn check(data: &[u8]) {
    let (content, end) = chunked::content(data, TRAILER);
    for cuts in heads::cuts(data.len()) {
        let (read, outcome) = heads::chunked(data, TRAILER, &cuts);
        assert!(content.starts_with(&read), "content that was not sent: {:?}", read.escape_ascii().to_string());
        match (&end, &outcome) {
            (Read::Partial, Ok(None) | Err(_)) | (Read::Refused, Err(_)) => {}
            (Read::Whole(end), Ok(Some(read))) => {
                let may_stand = |name: &[u8]| !NEVER_A_TRAILER.iter().any(|never| is_name(name, never));
                assert!(read.trailer.iter().all(|field| end.trailer.contains(field) && may_stand(&field.0)));
                let own = |field: &&(Vec<u8>, Vec<u8>)| field.0.starts_with(b"X-");
                assert!(end.trailer.iter().filter(own).eq(read.trailer.iter().filter(own)));
                assert_eq!((&read.content, read.consumed), (&end.content, end.consumed));
            }
            _ => panic!("{end:?} became {outcome:?}, cut at {cuts:?}"),
        }
    }
}
