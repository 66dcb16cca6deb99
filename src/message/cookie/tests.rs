//! The rules of cookies as tables, and two laws on seeded input. The tables of what is written
//! and read were laid beside Go 1.27; where this crate differs from it a case says so.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{Method, StatusCode, Uri};

use super::*;
use crate::message::{Body, Request, Response};

fn pair(name: &str, value: &str) -> Cookie {
    Cookie::new(name, value)
}

fn quoted(name: &str, value: &str) -> Cookie {
    Cookie { quoted: true, ..pair(name, value) }
}

fn with(change: impl FnOnce(&mut Cookie)) -> Cookie {
    let mut cookie = pair("a", "b");
    change(&mut cookie);
    cookie
}

fn from_epoch(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn request_with(lines: &[&[u8]]) -> Request {
    let mut request = Request::new(Method::GET, Uri::from_static("/"), Body::empty());
    request.header = lines.iter().map(|line| ("Cookie", line)).collect();
    request
}

fn shown(cookies: impl IntoIterator<Item = Cookie>) -> Vec<String> {
    cookies.into_iter().map(|cookie| cookie.to_string()).collect()
}

// ---------------------------------------------------------------- writing

#[test]
fn each_field_is_written_as_its_attribute() {
    let table = [
        (pair("a", "b"), "a=b"),
        (pair("a", ""), "a="),
        (quoted("a", "b"), "a=\"b\""),
        (quoted("a", ""), "a=\"\""),
        (pair("a", "b c"), "a=\"b c\""),
        (pair("a", ","), "a=\",\""),
        (pair("a", "x=y=z"), "a=x=y=z"),
        (with(|c| c.path = "/x y".into()), "a=b; Path=/x y"),
        (with(|c| c.domain = "a.test".into()), "a=b; Domain=a.test"),
        (with(|c| c.domain = ".a.test".into()), "a=b; Domain=a.test"),
        (with(|c| c.domain = "127.0.0.1".into()), "a=b; Domain=127.0.0.1"),
        (with(|c| c.expires = Some(from_epoch(784_111_777))), "a=b; Expires=Sun, 06 Nov 1994 08:49:37 GMT"),
        (with(|c| c.max_age = Some(Duration::from_secs(60))), "a=b; Max-Age=60"),
        (with(|c| c.max_age = Some(Duration::ZERO)), "a=b; Max-Age=0"),
        (with(|c| c.http_only = true), "a=b; HttpOnly"),
        (with(|c| c.secure = true), "a=b; Secure"),
        (with(|c| c.same_site = SameSite::Default), "a=b"),
        (with(|c| c.same_site = SameSite::Lax), "a=b; SameSite=Lax"),
        (with(|c| c.same_site = SameSite::Strict), "a=b; SameSite=Strict"),
        (with(|c| c.same_site = SameSite::None), "a=b; SameSite=None"),
        (with(|c| (c.partitioned, c.secure) = (true, true)), "a=b; Secure; Partitioned"),
        (with(|c| c.unparsed = vec!["Priority=High".into()]), "a=b"),
    ];
    for (cookie, text) in table {
        assert_eq!(cookie.to_string(), text);
        assert!(cookie.validate().is_ok(), "{text}");
    }
}

#[test]
fn attributes_stand_in_the_order_of_go() {
    let cookie = Cookie {
        path: "/".into(),
        domain: "a.test".into(),
        expires: Some(UNIX_EPOCH),
        max_age: Some(Duration::from_secs(1)),
        secure: true,
        http_only: true,
        partitioned: true,
        same_site: SameSite::None,
        ..pair("a", "b")
    };
    let text = "a=b; Path=/; Domain=a.test; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=1; \
                HttpOnly; Secure; SameSite=None; Partitioned";
    assert_eq!(cookie.to_string(), text);
}

#[test]
fn a_fraction_of_a_second_does_not_delete() {
    assert_eq!(with(|c| c.max_age = Some(Duration::from_nanos(1))).to_string(), "a=b; Max-Age=1");
    assert_eq!(with(|c| c.max_age = Some(Duration::MAX)).to_string(), "a=b; Max-Age=18446744073709551615");
}

#[test]
fn what_is_wrong_in_a_cookie_is_not_written() {
    let table = [
        (pair("", "b"), ""),
        (pair("a b", "c"), ""),
        (pair("a=", "c"), ""),
        (pair("a\r\nX: 1", "c"), ""),
        (pair("\u{e9}", "c"), ""),
        (pair("a", "b\r\nSet-Cookie: x=y"), "a=\"bSet-Cookie: x=y\""),
        (pair("a", "b; Domain=evil.test"), "a=\"b Domain=evil.test\""),
        (pair("a", "\"b\\\u{e9}\0\x7f"), "a=b"),
        (with(|c| c.path = "/x;\n\u{20ac}y".into()), "a=b; Path=/xy"),
        (with(|c| c.domain = "a.test; Secure".into()), "a=b"),
        (with(|c| c.expires = Some(UNIX_EPOCH - Duration::from_secs(11_644_473_601))), "a=b"),
    ];
    for (cookie, text) in table {
        assert_eq!(cookie.to_string(), text);
        assert!(cookie.validate().is_err(), "{text}");
    }
}

// ---------------------------------------------------------------- validity

#[test]
fn a_domain_is_a_host_name_or_an_ipv4_address() {
    let label = "x".repeat(63);
    let long = format!("{label}.{label}.{label}.{label}");
    let good = ["a.test", ".a.test", "a.test.", "A", "x-y.9.test", "3com.test", "192.0.2.1", &long];
    for domain in good {
        assert!(with(|c| c.domain = domain.into()).validate().is_ok(), "{domain}");
    }
    let bad = [
        ".",
        "..",
        "..a.test",
        "a..test",
        "a.test..",
        "-a.test",
        "a-.test",
        "a.-test",
        "a.test-",
        "a_b.test",
        "a.test:80",
        "1.2.3",
        "1.2.3.256",
        "01.2.3.4",
        ".1.2.3.4",
        "::1",
        "[::1]",
        " a.test",
        "\u{e9}.test",
        "a/b",
        &format!("x{label}.test"),
        &format!(".{long}"),
    ];
    for domain in bad {
        let cookie = with(|c| c.domain = domain.into());
        assert_eq!(cookie.validate().unwrap_err().to_string(), "a cookie's domain is no domain", "{domain}");
        assert_eq!(cookie.to_string(), "a=b", "{domain}");
    }
}

#[test]
fn the_first_wrong_field_is_named() {
    let far = UNIX_EPOCH + Duration::from_secs(253_402_300_800);
    let mut cookie = Cookie {
        name: "a b".into(),
        value: "\"".into(),
        path: "/\n".into(),
        domain: "-".into(),
        expires: Some(far),
        partitioned: true,
        ..Cookie::default()
    };
    let mut named = Vec::new();
    let repairs: [fn(&mut Cookie); 6] = [
        |c| c.name = "__Host-a".into(),
        |c| c.value.clear(),
        |c| c.path = "/".into(),
        |c| c.domain = "a.test".into(),
        |c| c.expires = None,
        |c| c.secure = true,
    ];
    for repair in repairs {
        named.push(cookie.validate().unwrap_err().to_string());
        repair(&mut cookie);
    }
    named.push(cookie.validate().unwrap_err().to_string());
    assert_eq!(
        named,
        [
            "a cookie's name is no token",
            "a cookie's value has a byte that it must not have",
            "a cookie's path has a byte that it must not have",
            "a cookie's domain is no domain",
            "a cookie expires before 1601 or after 9999",
            "a partitioned cookie has to be secure",
            "a cookie named __Host- has to be secure, with the path / and without a domain",
        ]
    );
    cookie.domain.clear();
    assert!(cookie.validate().is_ok());
}

// RFC 6265bis §4.1.3. Go knows no prefixes.
#[test]
fn a_prefixed_name_keeps_its_promise() {
    let named = |name: &str, secure, path: &str, domain: &str| Cookie {
        secure,
        path: path.into(),
        domain: domain.into(),
        ..pair(name, "1")
    };
    let good = [
        named("__Secure-a", true, "", ""),
        named("__Secure-a", true, "/x", "a.test"),
        named("__Host-a", true, "/", ""),
        named("__Host", false, "", "a.test"),
        named("x__Host-a", false, "", "a.test"),
        named("__secure_a", false, "", ""),
    ];
    for cookie in good {
        assert!(cookie.validate().is_ok(), "{cookie}");
    }
    let bad = [
        named("__Secure-a", false, "/", ""),
        named("__SECURE-a", false, "/", ""),
        named("__Host-a", false, "/", ""),
        named("__host-a", false, "/", ""),
        named("__Host-a", true, "", ""),
        named("__Host-a", true, "/x", ""),
        named("__Host-a", true, "/", "a.test"),
    ];
    for cookie in bad {
        assert!(cookie.validate().is_err(), "{cookie}");
    }
}

#[test]
fn an_invalid_cookie_is_refused_and_nothing_is_added() {
    let mut header = Header::new();
    for cookie in [pair("", "b"), pair("a", "b\r\nX: 1"), with(|c| c.domain = "-".into()), pair("__Host-a", "b")] {
        assert_eq!(set_cookie(&mut header, &cookie).unwrap_err().kind(), ErrorKind::Invalid);
    }
    assert!(header.is_empty());
}

#[test]
fn set_cookie_adds_a_line_for_each_cookie() {
    let mut header = Header::new();
    set_cookie(&mut header, &pair("a", "1")).unwrap();
    set_cookie(&mut header, &with(|c| c.secure = true)).unwrap();
    assert_eq!(header.values("Set-Cookie").collect::<Vec<_>>(), ["a=1", "a=b; Secure"]);
}

// ---------------------------------------------------------------- a request's cookies

#[test]
fn a_cookie_line_is_read_strictly() {
    let table: [(&str, Result<Vec<Cookie>, &str>); 20] = [
        ("a=b", Ok(vec![pair("a", "b")])),
        (" a=b ;\tc=d\r\n", Ok(vec![pair("a", "b"), pair("c", "d")])),
        ("a=b;a=c", Ok(vec![pair("a", "b"), pair("a", "c")])),
        ("a=", Ok(vec![pair("a", "")])),
        ("a=b=c", Ok(vec![pair("a", "b=c")])),
        ("a= b", Ok(vec![pair("a", " b")])),
        ("a=b c,d", Ok(vec![pair("a", "b c,d")])),
        ("a=\"b\"", Ok(vec![quoted("a", "b")])),
        ("a=\"\"", Ok(vec![quoted("a", "")])),
        ("a=\"", Err("a cookie's value has a byte that it must not have")),
        ("a=\"b", Err("a cookie's value has a byte that it must not have")),
        ("a=b\\c", Err("a cookie's value has a byte that it must not have")),
        ("a=\u{e9}", Err("a cookie's value has a byte that it must not have")),
        ("a=b\tc", Err("a cookie's value has a byte that it must not have")),
        ("", Err("there is no cookie")),
        (" \t", Err("there is no cookie")),
        ("a", Err("a cookie has no =")),
        ("a=b;", Err("a cookie has no =")),
        ("=b", Err("a cookie's name is no token")),
        ("a =b", Err("a cookie's name is no token")),
    ];
    for (line, expected) in table {
        let read = parse_cookie(line).map_err(|error| error.to_string());
        assert_eq!(read, expected.map_err(str::to_owned), "{line}");
    }
}

#[test]
fn a_bad_cookie_line_is_the_clients_fault() {
    let error = parse_cookie("a").unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Invalid, Some(StatusCode::BAD_REQUEST)));
}

#[test]
fn a_request_passes_over_what_is_no_cookie() {
    let table: [(&[&[u8]], &[&str]); 10] = [
        (&[], &[]),
        (&[b""], &[]),
        (&[b"; ;"], &[]),
        (&[b"a=1; b=2"], &["a=1", "b=2"]),
        (&[b"a=1", b"b=2;"], &["a=1", "b=2"]),
        (&[b"a=1; =2; b c=3; d=\"; e=5"], &["a=1", "e=5"]),
        (&[b"a"], &["a="]),
        (&[b" a =1"], &["a=1"]),
        (&[b"a=\"b c\"; d=e f"], &["a=\"b c\"", "d=\"e f\""]),
        (&[b"a=\xff; b=2; \xff=3; c=\xc3\xa9"], &["b=2"]),
    ];
    for (lines, expected) in table {
        assert_eq!(shown(request_with(lines).cookies()), expected, "{lines:?}");
    }
}

#[test]
fn a_cookie_is_found_by_its_exact_name() {
    let request = request_with(&[b"a=1; A=2; =3; a=4", b"a=5"]);
    assert_eq!(request.cookie("a"), Some(pair("a", "1")));
    assert_eq!(request.cookie("A"), Some(pair("A", "2")));
    assert_eq!(request.cookie("b"), None);
    assert_eq!(request.cookie(""), None);
    assert_eq!(shown(request.cookies_named("a")), ["a=1", "a=4", "a=5"]);
    assert_eq!(request.cookies_named("").count(), 0);
}

#[test]
fn of_more_than_3000_cookies_none_is_read() {
    let line = |pairs: usize| vec!["a=1"; pairs].join(";");
    assert_eq!(parse_cookie(line(3_000)).unwrap().len(), 3_000);
    assert_eq!(parse_cookie(line(3_001)).unwrap_err().to_string(), "there are more than 3,000 cookies");
    assert_eq!(parse_cookie(";".repeat(3_000)).unwrap_err().to_string(), "there are more than 3,000 cookies");

    let (most, one) = (line(2_999), line(1));
    assert_eq!(request_with(&[most.as_bytes(), one.as_bytes()]).cookies().count(), 3_000);
    let over = request_with(&[most.as_bytes(), one.as_bytes(), one.as_bytes()]);
    assert_eq!((over.cookies().count(), over.cookies_named("a").count(), over.cookie("a")), (0, 0, None));

    let mut response = Response::new("");
    response.header.extend(vec![("Set-Cookie", "a=1"); 3_000]);
    assert_eq!(response.cookies().count(), 3_000);
    response.header.add("Set-Cookie", "a=1");
    assert_eq!(response.cookies().count(), 0);
}

#[test]
fn added_cookies_stand_in_one_field() {
    let mut request = request_with(&[]);
    request.add_cookie(&with(|c| (c.secure, c.path) = (true, "/".into()))).unwrap();
    request.add_cookie(&quoted("c", "d")).unwrap();
    request.add_cookie(&pair("e", "f,g")).unwrap();
    request.add_cookie(&pair("__Host-h", "i")).unwrap();
    let fields: Vec<_> = request.header.iter().collect();
    assert_eq!(fields, [("Cookie", &b"a=b; c=\"d\"; e=\"f,g\"; __Host-h=i"[..])]);
}

#[test]
fn a_cookie_is_added_to_all_that_are_there() {
    let mut request = request_with(&[b"a=1", b"", b"b=\xff"]);
    request.add_cookie(&pair("c", "3")).unwrap();
    let values: Vec<_> = request.header.values_bytes("Cookie").collect();
    assert_eq!(values, [b"a=1; b=\xff; c=3"]);
}

#[test]
fn a_cookie_that_cannot_be_sent_is_not_added() {
    let mut request = request_with(&[b"a=1"]);
    for cookie in [pair("b c", "2"), pair("", "2"), pair("b", "2; c=3"), pair("b", "2\r\nX: 1"), pair("b", "\u{e9}")] {
        assert_eq!(request.add_cookie(&cookie).unwrap_err().kind(), ErrorKind::Invalid);
    }
    assert_eq!(request.header.get("Cookie"), Some("a=1"));
}

// ---------------------------------------------------------------- a response's cookies

#[test]
fn a_set_cookie_line_is_read_with_its_attributes() {
    let table = [
        ("a=b", with(|_| {})),
        (" a = b ; ", pair("a", " b")),
        ("a=\"b c\"", quoted("a", "b c")),
        ("a=b;;; secure", with(|c| c.secure = true)),
        ("a=b; HTTPONLY=yes", with(|c| c.http_only = true)),
        ("a=b; Partitioned", with(|c| c.partitioned = true)),
        ("a=b; Path=/; Path=/x y,z", with(|c| c.path = "/x y,z".into())),
        ("a=b; Domain=.A.test", with(|c| c.domain = ".A.test".into())),
        ("a=b; Domain=a.test; Domain=", with(|_| {})),
        ("a=b; SameSite=lax", with(|c| c.same_site = SameSite::Lax)),
        ("a=b; samesite=STRICT", with(|c| c.same_site = SameSite::Strict)),
        ("a=b; SameSite=None", with(|c| c.same_site = SameSite::None)),
        ("a=b; SameSite=Lax; SameSite=new", with(|_| {})),
        ("a=b; Expires=Sun, 06 Nov 1994 08:49:37 GMT", with(|c| c.expires = Some(from_epoch(784_111_777)))),
        ("a=b; Expires=Sun, 06-Nov-1994 08:49:37 GMT", with(|c| c.expires = Some(from_epoch(784_111_777)))),
        ("a=b; Priority=High; Secure", with(|c| (c.secure, c.unparsed) = (true, vec!["Priority=High".into()]))),
        ("a=b; Expires=soon", with(|c| c.unparsed = vec!["Expires=soon".into()])),
        ("a=b; Domain=\"a.test\"", with(|c| c.unparsed = vec!["Domain=\"a.test\"".into()])),
        // Browsers read these so; Go reads none of them.
        ("a=b; Secure = ; Max-Age = 5", with(|c| (c.secure, c.max_age) = (true, Some(Duration::from_secs(5))))),
        ("a=b; Expires=Sunday, 06-Nov-94 08:49:37 GMT", with(|c| c.expires = Some(from_epoch(784_111_777)))),
        ("a=b; Path=/\"x\\", with(|c| c.path = "/\"x\\".into())),
    ];
    for (line, expected) in table {
        assert_eq!(parse_set_cookie(line).unwrap(), expected, "{line}");
    }
}

#[test]
fn a_max_age_is_a_number_of_seconds() {
    let seconds = |n| Some(Duration::from_secs(n));
    let table = [
        ("1", seconds(1)),
        ("+60", seconds(60)),
        ("0", seconds(0)),
        ("00", seconds(0)),
        ("-1", seconds(0)),
        ("-05", seconds(0)),
        ("9223372036854775807", seconds(9_223_372_036_854_775_807)),
        // Go takes these for no number.
        ("99999999999999999999999", seconds(u64::MAX)),
        ("-99999999999999999999999", seconds(0)),
        ("007", None),
        ("", None),
        ("-", None),
        ("+-1", None),
        ("1.5", None),
        ("1h", None),
    ];
    for (text, expected) in table {
        let cookie = parse_set_cookie(format!("a=b; Max-Age={text}")).unwrap();
        assert_eq!(cookie.max_age, expected, "{text}");
        assert_eq!(cookie.unparsed.is_empty(), expected.is_some(), "{text}");
    }
}

#[test]
fn a_set_cookie_line_without_a_pair_is_refused() {
    let table = [
        ("", "there is no cookie"),
        (" \r\n", "there is no cookie"),
        (";", "a cookie has no ="),
        ("a; b=c", "a cookie has no ="),
        ("=b", "a cookie's name is no token"),
        ("a b=c", "a cookie's name is no token"),
        ("a=b\\", "a cookie's value has a byte that it must not have"),
        ("a=\"b; Secure", "a cookie's value has a byte that it must not have"),
    ];
    for (line, expected) in table {
        assert_eq!(parse_set_cookie(line).unwrap_err().to_string(), expected, "{line}");
    }
}

#[test]
fn a_response_passes_over_lines_that_are_no_cookie() {
    let mut response = Response::new("");
    let lines: [&[u8]; 5] = [b"a=1; Secure", b"none", b"b=\xff", b"c=3; X=\xff; HttpOnly", b""];
    response.header.extend(lines.map(|line| ("Set-Cookie", line)));
    assert_eq!(shown(response.cookies()), ["a=1; Secure", "c=3; HttpOnly"]);
}

#[test]
fn no_error_repeats_what_was_sent() {
    for line in ["s3cret", "a=s3cret\\", "s3cret s3cret=1", "s3cret=\"", "a=1; s3cret"] {
        let errors = [parse_cookie(line).err(), parse_set_cookie(line).err(), pair(line, line).validate().err()];
        for error in errors.into_iter().flatten() {
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
        }
    }
}

// ---------------------------------------------------------------- laws

/// Numbers without end from a seed (splitmix64).
struct CookieDice(u64);

impl CookieDice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn pick<'a, Item>(&mut self, items: &'a [Item]) -> &'a Item {
        &items[self.below(items.len())]
    }

    fn text(&mut self, longest: usize, is_allowed: fn(u8) -> bool) -> String {
        let allowed: Vec<u8> = (0..=0x7f).filter(|&byte| is_allowed(byte)).collect();
        (0..self.below(longest + 1)).map(|_| char::from(*self.pick(&allowed))).collect()
    }

    fn cookie(&mut self) -> Cookie {
        let prefix = *self.pick(&["a", "a", "__Host-", "__secure-"]);
        let domains = ["", "", "a.test", ".b.a.test", "A-9.test.", "192.0.2.1"];
        let last = 11_644_473_600 + 253_402_300_799;
        let expires = UNIX_EPOCH - Duration::from_secs(11_644_473_600) + Duration::from_secs(self.next() % (last + 1));
        Cookie {
            name: prefix.to_owned() + &self.text(8, crate::message::is_token_byte),
            value: self.text(12, is_value_byte),
            quoted: self.once_in(3),
            path: if self.once_in(3) { "/".into() } else { self.text(6, is_path_byte) },
            domain: (*self.pick(&domains)).into(),
            expires: self.once_in(2).then_some(expires),
            max_age: self.once_in(2).then(|| Duration::from_secs(self.next() >> (self.next() % 64))),
            secure: !self.once_in(3),
            http_only: self.once_in(2),
            partitioned: self.once_in(4),
            same_site: *self.pick(&[SameSite::Default, SameSite::Lax, SameSite::Strict, SameSite::None]),
            unparsed: Vec::new(),
        }
    }
}

/// The cookie as its text says it: that a value needs quotes, that a leading dot and spaces
/// around a path mean nothing.
fn as_said(cookie: &Cookie) -> Cookie {
    Cookie {
        quoted: cookie.quoted || cookie.value.contains([' ', ',']),
        path: cookie.path.trim_matches(' ').into(),
        domain: cookie.domain.trim_start_matches('.').into(),
        ..cookie.clone()
    }
}

#[test]
fn a_valid_cookie_is_read_back_as_it_was_written() {
    let mut dice = CookieDice(6265);
    let mut valid = 0;
    while valid < 20_000 {
        let cookie = dice.cookie();
        let mut header = Header::new();
        if set_cookie(&mut header, &cookie).is_err() {
            continue;
        }
        valid += 1;
        assert_eq!(parse_set_cookie(header.get("Set-Cookie").unwrap()).unwrap(), as_said(&cookie));

        let mut request = request_with(&[]);
        request.add_cookie(&cookie).unwrap();
        let said = Cookie { quoted: as_said(&cookie).quoted, ..pair(&cookie.name, &cookie.value) };
        assert_eq!(request.cookie(&cookie.name), Some(said));
    }
}

#[test]
fn any_bytes_are_read_or_refused_and_written_without_harm() {
    let words: [&[u8]; 16] = [
        b"a",
        b"=",
        b";",
        b" ",
        b"\"",
        b"\\",
        b"\r\n",
        b"\xff",
        b"\0",
        b"Expires=",
        b"Max-Age=",
        b"Domain=",
        b"Path=/",
        b"06 Nov 94 08:49:37",
        b"99999999999999999999",
        b".test",
    ];
    let mut dice = CookieDice(6266);
    for _ in 0..20_000 {
        let line: Vec<u8> = (0..dice.below(16)).flat_map(|_| *dice.pick(&words)).copied().collect();
        let lenient: Vec<Cookie> = request_with(&[&line]).cookies().collect();
        if let Ok(strict) = parse_cookie(&line) {
            assert_eq!(strict, lenient, "{line:?}");
        }
        if let Ok(cookie) = parse_set_cookie(&line) {
            let text = cookie.to_string();
            assert!(text.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{text:?}");
            assert_eq!(parse_set_cookie(&text).unwrap().to_string(), text);
        }
    }
}
