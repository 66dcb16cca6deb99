//! A mux leads where a naive matcher over all of its patterns leads, and refuses those that conflict and no others.

use nethttp::{Body, Method, Request, ResponseWriter, ServeMux};

use crate::input::Input;
use crate::reference::mux::{MuxRequest, Pattern, is_decided, path, refusal_is_due, stands_beside};

const METHODS: [&str; 5] = ["", "", "GET ", "POST ", "HEAD "];
const HOSTS: [&str; 9] = ["", "", "", "h", "H.test", "[::1]", "{s}.test", "{s}.h.test", "h.{s}.test"];
const SEGMENTS: [&str; 16] =
    ["a", "b", "{x}", "{y}", "{z...}", "{$}", "", "%61", "a%2Fb", "c", "%2A", "%", "a{u}", "{v}b", "a{t}b", "ab{r}"];
const SENT_METHODS: [&str; 5] = ["GET", "HEAD", "POST", "PUT", "get"];
const SENT_HOSTS: [&str; 12] =
    ["h", "h:80", "H", "h.test", "h.TEST:1", "x", "[::1]", "[::1]:8", "", "h.h.test", "x.H.test:1", "h.x.test"];
const SENT_SEGMENTS: [&str; 17] =
    ["a", "b", "c", "d", "", ".", "..", "%61", "a%2fb", "%2e%2e", "*", "%", "%2A", "ab", "acb", "abb", "a%62c"];

/// Patterns line by line up to an empty one, then requests: a letter each for the method, the host
/// and up to four segments.
pub fn check(data: &[u8]) {
    let (mux, mut patterns, mut input) = (ServeMux::new(), Vec::new(), Input(data));
    for line in std::iter::from_fn(|| Some(input.until(b'\n'))).take_while(|line| !line.is_empty()).take(8) {
        let mut line = Input(line);
        let text = format!("{}{}{}", line.pick(&METHODS), line.pick(&HOSTS), path(&mut line, &SEGMENTS, 3));
        match mux.try_handle(&text, async |_: &mut ResponseWriter, _: &mut Request| Ok(())) {
            Ok(()) => {
                let pattern = Pattern::read(&text);
                stands_beside(&pattern, &patterns);
                patterns.push(pattern);
            }
            Err(error) => refusal_is_due(&text, &patterns, &error.to_string()),
        }
    }
    while !input.is_empty() {
        let mut line = Input(input.until(b'\n'));
        let (method, host) = (line.pick(&SENT_METHODS), line.pick(&SENT_HOSTS));
        let path = path(&mut line, &SENT_SEGMENTS, 4);
        let method_of_request = Method::from_bytes(method.as_bytes()).expect("it is a token");
        let mut request = Request::new(method_of_request, path.parse().expect("it is a target"), Body::empty());
        (request.request_uri, request.host) = (path.clone(), host.into());
        is_decided(&MuxRequest::new(method, host, &path), &patterns, &mux.lookup(&request));
    }
}
