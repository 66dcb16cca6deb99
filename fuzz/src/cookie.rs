//! A cookie that is read and may be sent is written as text that reads as the same cookie, and as nothing beside it.

use nethttp::cookie::{parse_cookie, parse_set_cookie};
use nethttp::header::{format_time, parse_time};
use nethttp::{Body, Cookie, Method, Request, Uri};

use crate::reference::cookie::{pairs, pairs_of};

pub fn check(data: &[u8]) {
    let mut request = Request::new(Method::GET, Uri::from_static("/"), Body::empty());
    request.header.set("Cookie", data);
    let (lenient, strict) = (request.cookies().collect::<Vec<Cookie>>(), parse_cookie(data).ok());
    assert_eq!(strict.as_deref().map(pairs_of), pairs(data));
    assert!(strict.is_none_or(|strict| strict == lenient), "one bad pair more, and the others are lost");
    lenient.iter().for_each(survives_a_request);
    parse_set_cookie(data).iter().for_each(survives_a_response);
    if let Some(time) = std::str::from_utf8(data).ok().and_then(parse_time) {
        assert_eq!(parse_time(&format_time(time)), Some(time));
    }
}

fn survives_a_request(cookie: &Cookie) {
    let mut request = Request::new(Method::GET, Uri::from_static("/"), Body::empty());
    request.header.set("Cookie", "before=1");
    request.add_cookie(cookie).expect("what was read may be sent");
    let back: Vec<Cookie> = request.cookies().collect();
    assert_eq!(pairs_of(&back), [(&b"before"[..], &b"1"[..]), (cookie.name.as_bytes(), cookie.value.as_bytes())]);
}

fn survives_a_response(cookie: &Cookie) {
    let text = cookie.to_string();
    assert!(text.bytes().all(|b| matches!(b, b' '..=b'~')), "{text:?} is no field value");
    let back = parse_set_cookie(&text).expect("what was written can be read");
    assert_eq!((back.to_string(), back.unparsed.len()), (text, 0));
    // Without the dot it is the same domain, and a value with a blank gets its quotes.
    let domain = cookie.domain.strip_prefix('.').unwrap_or(&cookie.domain).to_owned();
    let quoted = cookie.quoted || cookie.value.contains([' ', ',']);
    let expected = Cookie { domain, quoted, unparsed: Vec::new(), ..cookie.clone() };
    assert!(cookie.validate().is_err() || back == expected, "{back:?} for {cookie:?}");
}
