//! Where a message ends is what the slow reference says, and no order of its field lines and no spelling changes that.

use nethttp::fuzzing::FuzzContent;
use nethttp::fuzzing::FuzzRequestKind::{self, Connect, Head, Other};

use crate::heads::{self, LIMITS};
use crate::reference::{request, response};

/// Each line is a field line: its first letter is the name's.
pub fn check(data: &[u8]) {
    let lines: Vec<&[u8]> = data.split(|b| *b == b'\n').collect();
    let backwards: Vec<&[u8]> = lines.iter().rev().copied().collect();
    for version in ["1.1", "1.0"] {
        let asked = of_request(version, &lines);
        assert_eq!(of_request(version, &backwards), asked, "in another order");
        for (status, method) in [(200, Other), (204, Other), (304, Head), (200, Connect)] {
            of_response(version, status, method, &lines);
        }
        // What both sides may send means the same in both directions.
        let answered = of_response(version, 200, Other, &lines);
        if let (Some(one), Some(other)) = (asked, answered) {
            let until_close = (FuzzContent::Empty, FuzzContent::UntilClose);
            assert!(one == other || (one.0, other.0) == until_close, "{one:?} and {other:?}");
        }
    }
}

fn of_request(version: &str, lines: &[&[u8]]) -> Option<(FuzzContent, bool)> {
    let head = heads::written(&format!("POST / HTTP/{version}\r\nHost: a\r\n"), lines);
    let parsed = heads::request(&head, LIMITS, &[]).ok().flatten().map(|head| (head.content, head.keep_alive));
    assert_eq!(parsed, request::head(&head, LIMITS).whole().map(|head| (head.content, head.keep_alive)));
    parsed
}

fn of_response(version: &str, status: u16, asked: FuzzRequestKind, lines: &[&[u8]]) -> Option<(FuzzContent, bool)> {
    let head = heads::written(&format!("HTTP/{version} {status} x\r\n"), lines);
    let parsed = heads::response(&head, LIMITS, asked, &[]).ok().flatten().map(|head| (head.content, head.keep_alive));
    assert_eq!(parsed, response::head(&head, LIMITS, asked).whole().map(|head| (head.content, head.keep_alive)));
    parsed
}
