//! What is taken, what is refused, and that the short way and the long way are one.

use super::zone::BAD_ZONE;
use super::*;

fn text_of(text: &str) -> String {
    text.into_url().map_or_else(|error| error.message().to_owned(), |uri| uri.to_string())
}

#[test]
fn a_url_gets_its_normal_form() {
    for (text, normal) in [
        ("http://a.test", "http://a.test/"),
        ("http://a.test?q", "http://a.test/?q"),
        ("http://a.test#f", "http://a.test/"),
        ("HTTP://A.Test:80/X", "http://a.test/X"),
        ("https://a.test:443/", "https://a.test/"),
        ("https://a.test:80/", "https://a.test:80/"),
        ("http://a.test:/", "http://a.test/"),
        ("http://a.test:0081/", "http://a.test:81/"),
        ("http://a.test/a/./b/../c", "http://a.test/a/c"),
        ("http://a.test/a/%2e%2E/c", "http://a.test/c"),
        ("http://a.test//x", "http://a.test//x"),
        ("http://a.test/?a=%zz&b='", "http://a.test/?a=%zz&b=%27"),
        ("http://a.test/<\"{}`>?<\">", "http://a.test/%3C%22%7B%7D%60%3E?%3C%22%3E"),
        ("http://a.test/x?q=1#frag?ment", "http://a.test/x?q=1"),
        ("http://u:p@a.test/", "http://u:p@a.test/"),
        ("http://u@er:p:w@a.test/", "http://u%40er:p%3Aw@a.test/"),
        ("http://@a.test/", "http://a.test/"),
        ("http://b\u{fc}cher.test/\u{f6}?\u{f6}", "http://xn--bcher-kva.test/%C3%B6?%C3%B6"),
        ("http://\u{ff21}.test/", "http://a.test/"),
        ("http://[::1]:8080/", "http://[::1]:8080/"),
        ("http://[0:0::1]/", "http://[::1]/"),
        ("http://[FE80:0::1%25Eth0.1]:80/x?y", "http://[fe80::1%25Eth0.1]/x?y"),
        ("http://u%25:p@[fe80::1%25en0]:81", "http://u%25:p@[fe80::1%25en0]:81/"),
        ("http://0x7f.1/", "http://127.0.0.1/"),
        ("http://a_b.test/", "http://a_b.test/"),
        ("http://a.test./", "http://a.test./"),
        ("http://a.test/a\\b?c\\d", "http://a.test/a%5Cb?c%5Cd"),
        // Node's CVE-2018-12116: cut to their last byte, the letters would be a line's end.
        ("http://a.test/\u{10d}\u{10a}Evil", "http://a.test/%C4%8D%C4%8AEvil"),
    ] {
        assert_eq!(text_of(text), normal, "{text}");
        assert_eq!(text_of(normal), normal, "the normal form is its own");
    }
}

#[test]
fn what_is_no_url_of_a_request_is_refused() {
    for (text, reason) in [
        ("", NO_SCHEME),
        ("a.test/x", NO_SCHEME),
        ("localhost:8080/x", NO_SCHEME),
        ("/x", NO_SCHEME),
        ("//a.test/", NO_SCHEME),
        ("://a.test/", NO_SCHEME),
        ("/x?u=http://a.test/", NO_SCHEME),
        ("http:a.test", NO_HOST),
        ("HTTPS:/a.test", NO_HOST),
        ("http://", NO_HOST),
        ("http:///x", NO_HOST),
        ("http://?q", NO_HOST),
        ("http://#f", NO_HOST),
        ("http://:80/", NO_HOST),
        ("http://u:p@/", NO_HOST),
        ("http://u:p@:80/", NO_HOST),
        ("ftp://a.test/", "the scheme ftp is not supported: http and https are"),
        ("ws://a.test/", "the scheme ws is not supported: http and https are"),
        ("http://a.test:port/", BAD_PORT),
        ("http://a.test:65536/", BAD_PORT),
        ("http://a.test:-1/", BAD_PORT),
        ("http://[::1", BAD_HOST),
        ("http://[fe80::1%eth0]/", BAD_HOST),
        ("http://[fe80::1%25]/", BAD_ZONE),
        ("http://[fe80::1%25eth%2f]/", BAD_ZONE),
        ("http://[a.test%25eth0]/", BAD_HOST),
        ("http://a.test%25eth0/", BAD_HOST),
        ("http://1.2.3.256/", BAD_HOST),
        ("http://a<b.test/", BAD_HOST),
        ("http://a%2fb.test/", BAD_HOST),
        ("http://xn--a/", BAD_HOST),
        ("http://good.test\u{ff0f}evil.test/", BAD_HOST),
        ("http://a.test\\@b.test/", BACKSLASH),
        ("http://a.test/x y", SPACE),
        (" http://a.test/", SPACE),
        ("http://a.test/?x\r\nEvil: 1", CONTROL),
        ("http://a.test/\tx", CONTROL),
        ("http://a\n.test/", CONTROL),
        ("http://a.test/\0", CONTROL),
        ("http://a.test/\u{7f}", CONTROL),
        ("ht\ttp://a.test/", CONTROL),
    ] {
        let error = text.into_url().unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::Invalid, reason), "{text:?}");
    }
}

#[test]
fn no_message_shows_what_stands_before_the_host() {
    for text in ["http://user:hunter2@/", "http://user:hunter2@a.test:x/", "user:hunter2@a.test", "http://u:hunter2@[/"]
    {
        let error = text.into_url().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}

#[test]
fn a_url_is_of_65534_bytes_at_most_before_and_after_escaping() {
    let of = |length: usize| format!("http://a.test/{}", "x".repeat(length - 14));
    for length in [MAX_URL_BYTES - 1, MAX_URL_BYTES] {
        assert_eq!(text_of(&of(length)).len(), length);
    }
    assert_eq!(text_of(&of(MAX_URL_BYTES + 1)), TOO_LONG);
    assert_eq!(text_of(&format!("http://a.test/{}", "\u{f6}".repeat(12_000))), TOO_LONG);
    let base = Uri::from_static("http://a.test/");
    assert_eq!(join(&base, of(MAX_URL_BYTES).as_bytes()).unwrap().to_string().len(), MAX_URL_BYTES);
    for reference in [format!("/{}", "x".repeat(MAX_URL_BYTES - 13)), "\u{f6}".repeat(12_000), of(MAX_URL_BYTES + 1)] {
        assert_eq!(join(&base, reference.as_bytes()).unwrap_err().message(), TOO_LONG);
    }
}

/// The long way, whatever the short way says.
fn assert_same(text: &str) -> bool {
    let long = parse(text);
    let is_short = is_normal(text);
    if is_short {
        let long = long.as_ref().unwrap_or_else(|error| panic!("{text}: {error}"));
        let short = Uri::try_from(text).unwrap();
        assert_eq!((short.to_string(), &short), (long.to_string(), long), "{text}");
    }
    // What has its normal form is taken as it is, as text and as a `Uri`.
    if let Ok(long) = long {
        assert_eq!(parse(&long.to_string()).unwrap().to_string(), long.to_string(), "{text}");
        assert_eq!((&long).into_url().unwrap(), long);
    }
    if let Ok(uri) = Uri::try_from(text) {
        if is_normal_uri(&uri) {
            assert_eq!(parse(&uri.to_string()).unwrap().to_string(), uri.to_string(), "{text}");
        }
    }
    is_short
}

#[test]
fn plain_urls_go_the_short_way() {
    for text in [
        "http://a.test",
        "http://a.test/",
        "https://www.example-site.com/a/b-c_d~e.html?x=1&y=%20+z;(*),!$:@/?",
        "http://127.0.0.1:8080/x",
        "http://localhost:1/%C3%B6",
        "http://3com.example/",
        "http://a.test/x./y..z/",
        "http://a-1.b-2.test:81/x%2f?.%2e/../?",
    ] {
        assert!(assert_same(text), "{text}");
    }
    for text in [
        "http://1.2.3/",
        "http://127.0.0.01/",
        "http://0x7f.0x1/",
        "http://xn--bcher-kva.test/",
        "http://a.9z/",
        "http://-a/",
    ] {
        assert!(!is_normal(text), "{text}");
    }
}

#[test]
fn the_short_way_ends_where_the_long_way_does() {
    const PIECES: [&str; 64] = [
        "http",
        "https",
        "ftp",
        "HTTP",
        ":",
        "://",
        "//",
        "/",
        "/",
        "/",
        ".",
        ".",
        "..",
        "/../",
        "/./",
        "%2e",
        "%2E",
        "%",
        "%41",
        "?",
        "?",
        "#",
        "@",
        "a",
        "b",
        "A",
        "z",
        "0",
        "1",
        "7",
        "80",
        "443",
        "8080",
        "65535",
        "65536",
        "0x7f",
        "-",
        "--",
        "xn--",
        "xn--bcher-kva",
        "_",
        "~",
        "!",
        "$",
        "&",
        "'",
        "(",
        ")",
        "*",
        "+",
        ",",
        ";",
        "=",
        "\\",
        "|",
        "[",
        "]",
        "{",
        "\u{f6}",
        "^",
        "\"",
        "<",
        "test",
        "127.0.0.1",
    ];
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |bound: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % bound as u64).unwrap()
    };
    let mut short = 0;
    for round in 0..60_000 {
        let mut text =
            String::from(["", "http://", "http://a.test", "https://a-b.test:81/", "http://a.test/?"][round % 5]);
        for _ in 0..=below(6) {
            text += PIECES[below(PIECES.len())];
        }
        short += usize::from(assert_same(&text));
    }
    assert!(short > 1000, "only {short} went the short way");
}

#[test]
fn a_location_is_joined_to_where_it_was_found() {
    let cases: [(&str, &[u8], &str); 24] = [
        ("http://a.test/b/c?d", b"/x", "http://a.test/x"),
        ("http://a.test/b/c?d", b"x", "http://a.test/b/x"),
        ("http://a.test/b/c?d", b"../x", "http://a.test/x"),
        ("http://a.test/b/c?d", b"/x/../y", "http://a.test/y"),
        ("http://a.test/b/c?d", b"?x", "http://a.test/b/c?x"),
        ("http://a.test/b/c?d", b"#x", "http://a.test/b/c?d"),
        ("http://a.test/b/c?d", b"", "http://a.test/b/c?d"),
        ("http://a.test/b/c?d", b" /x ", "http://a.test/x"),
        ("http://a.test:81/", b"/x", "http://a.test:81/x"),
        ("http://a.test/", b"//b.test/x", "http://b.test/x"),
        ("https://a.test/", b"//b.test", "https://b.test/"),
        ("http://a.test/", b"https://b.test:443/x#y", "https://b.test/x"),
        ("http://a.test/", b"HTTP://B.test?x", "http://b.test/?x"),
        ("http://a.test/", b"/a b", "http://a.test/a%20b"),
        ("http://a.test/", b"http://b.test/a b", "http://b.test/a%20b"),
        ("http://a.test/", b"/\xe9?\xe9", "http://a.test/%E9?%E9"),
        ("http://a.test/", "/\u{e9}".as_bytes(), "http://a.test/%C3%A9"),
        ("http://a.test/", "http://b\u{fc}cher.test/\u{e9}".as_bytes(), "http://xn--bcher-kva.test/%C3%A9"),
        ("http://a.test/", b"\\\\b.test\\x", "http://a.test/%5C%5Cb.test%5Cx"),
        ("http://a.test/", b"/\\b.test", "http://a.test/%5Cb.test"),
        ("http://a.test/", b"x?u=http://b.test/", "http://a.test/x?u=http://b.test/"),
        ("http://u:p@a.test/", b"x", "http://u:p@a.test/x"),
        ("http://u:p@a.test/", b"/x", "http://u:p@a.test/x"),
        ("http://u:p@a.test/", b"http://a.test/x", "http://a.test/x"),
    ];
    for (base, reference, joined) in cases {
        let got = join(&base.parse().unwrap(), reference).map(|uri| uri.to_string());
        assert_eq!(got.unwrap(), joined, "{base} {:?}", String::from_utf8_lossy(reference));
    }
}

#[test]
fn a_location_with_a_host_that_is_no_text_is_refused() {
    let base = Uri::from_static("http://a.test/");
    for reference in [&b"http://\xe9.test/"[..], b"//\xe9/", b"http://b.test /", b"//a\\b/", b"/x\ty"] {
        assert!(join(&base, reference).is_err(), "{:?}", String::from_utf8_lossy(reference));
    }
}

#[test]
fn the_parts_of_a_url_are_named() {
    let uri: Uri = "http://us%40er:p%3Aw@a.test:81/".parse().unwrap();
    assert_eq!(credentials(&uri), Some(("us@er".into(), "p:w".into())));
    assert_eq!(host_field(&uri), "a.test:81");
    for (text, host, user) in [
        ("http://a.test/", "a.test", None),
        ("https://a.test/", "a.test", None),
        ("https://u@a.test:443/", "a.test", Some(("u", ""))),
        ("http://:p@[::1]:80/", "[::1]", Some(("", "p"))),
        ("https://[::1]:80/", "[::1]:80", None),
    ] {
        let uri: Uri = text.parse().unwrap();
        assert_eq!(host_field(&uri), host, "{text}");
        assert_eq!(credentials(&uri), user.map(|(user, password)| (user.to_owned(), password.to_owned())), "{text}");
    }
}

#[test]
fn a_reference_keeps_the_zone_where_it_stays_on_the_host() {
    let base = "http://[fe80::1%25eth0]:8080/a/b".into_url().unwrap();
    for (reference, expected) in [
        ("/x", "http://[fe80::1%25eth0]:8080/x"),
        ("../c d", "http://[fe80::1%25eth0]:8080/c%20d"),
        ("//[fe80::2%25lo]/", "http://[fe80::2%25lo]/"),
        ("http://[fe80::1]/", "http://[fe80::1]/"),
        ("http://a.test/%25", "http://a.test/%25"),
    ] {
        assert_eq!(join(&base, reference.as_bytes()).unwrap(), expected, "{reference}");
    }
}

#[test]
fn a_zone_is_dialled_and_left_out_of_the_host() {
    for (host, plain, dialled) in [
        ("[fe80::1%25eth0]", Some("[fe80::1]"), "[fe80::1%eth0]"),
        ("[fe80::1%25eth0]:81", Some("[fe80::1]:81"), "[fe80::1%eth0]:81"),
        ("[fe80::1]", None, "[fe80::1]"),
        ("a.test", None, "a.test"),
    ] {
        assert_eq!(without_zone(host).as_deref(), plain, "{host}");
        assert_eq!(dialled_host(host), dialled, "{host}");
    }
}
