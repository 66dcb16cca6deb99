//! Tables of what is set, from where, and what is sent then, where. The rules are those of
//! RFC 6265bis; many cases are of the kind that browsers, Go and the IETF's own suite agree on.

use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::client::jar::netscape;
use crate::client::jar::{Jar, SessionCookies};
use crate::message::format_time;

fn start() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

fn after(seconds: u64) -> SystemTime {
    start() + Duration::from_secs(seconds)
}

fn url_of(url: &str) -> CookieUrl {
    CookieUrl::of(&url.parse().unwrap()).unwrap_or_else(|| panic!("{url} is for cookies"))
}

/// Cookies set from these URLs, a second apart.
fn store_of(lines: &[(&str, &str)]) -> CookieStore {
    let mut store = CookieStore::default();
    for (at, (url, line)) in lines.iter().enumerate() {
        let _ = store.set(&url_of(url), line.as_bytes(), after(at as u64));
    }
    store
}

fn sent(store: &mut CookieStore, url: &str) -> String {
    store.cookies(&url_of(url), after(100)).unwrap_or_default()
}

/// What a host answers when this line came from there and nothing else.
fn refusal(url: &str, line: &str) -> Option<&'static str> {
    CookieStore::default().set(&url_of(url), line.as_bytes(), start()).err()
}

const FOREIGN: &str = "a cookie is for another domain than its sender's";
const SUFFIX: &str = "a cookie is for a public suffix";

#[test]
fn a_cookie_is_for_its_host_alone_or_for_a_domain_that_holds_it() {
    let host = |name: &str| Ok(CookieScope::Host(name.into()));
    let domain = |name: &str| Ok(CookieScope::Domain(name.into()));
    for (sender, said, expected) in [
        ("www.example.com", "", host("www.example.com")),
        ("www.example.com", "example.com", domain("example.com")),
        ("www.example.com", "www.example.com", domain("www.example.com")),
        ("foo.sso.example.com", "sso.example.com", domain("sso.example.com")),
        ("bar.co.uk", "bar.co.uk", domain("bar.co.uk")),
        ("foo.bar.co.uk", "bar.co.uk", domain("bar.co.uk")),
        ("www.example.com", "other.com", Err(FOREIGN)),
        ("www.example.com", "ample.com", Err(FOREIGN)),
        ("example.com", "www.example.com", Err(FOREIGN)),
        ("www.example.com", ".example.com", Err(FOREIGN)),
        ("www.example.com", "example.com.", Err(FOREIGN)),
        ("www.example.com", ".", Err(FOREIGN)),
        ("www.example.com", "com", Err(SUFFIX)),
        ("foo.bar.co.uk", "co.uk", Err(SUFFIX)),
        ("foo.bar.co.uk", "uk", Err(SUFFIX)),
        ("me.github.io", "github.io", Err(SUFFIX)),
        ("a.b.city.kobe.jp", "city.kobe.jp", domain("city.kobe.jp")),
        ("a.b.c.kobe.jp", "c.kobe.jp", Err(SUFFIX)),
        ("a.b.c.kobe.jp", "kobe.jp", Err(SUFFIX)),
        ("intra.corp", "corp", Err(SUFFIX)),
        ("a.localhost", "localhost", Err(SUFFIX)),
        ("com", "com", host("com")),
        ("co.uk", "co.uk", host("co.uk")),
        ("localhost", "localhost", host("localhost")),
        ("xn--55qx5d.cn", "xn--55qx5d.cn", host("xn--55qx5d.cn")),
        ("a.xn--55qx5d.cn", "xn--55qx5d.cn", Err(SUFFIX)),
        ("www.xn--bcher-kva.test", "xn--bcher-kva.test", domain("xn--bcher-kva.test")),
        ("127.0.0.1", "", host("127.0.0.1")),
        ("127.0.0.1", "127.0.0.1", host("127.0.0.1")),
        ("127.0.0.1", "0.0.1", Err(FOREIGN)),
        ("127.www.0.0.1", "127.0.0.1", Err(FOREIGN)),
        ("2001:db8::1", "2001:db8::1", host("2001:db8::1")),
        ("2001:db8::1", "db8::1", Err(FOREIGN)),
    ] {
        assert_eq!(scope(sender, said), expected, "{sender} sets for {said:?}");
    }
}

#[test]
fn hosts_are_one_whatever_their_letters_and_last_dot() {
    for (url, host) in [
        ("http://WWW.Example.COM:8080/", "www.example.com"),
        ("http://www.example.com./", "www.example.com"),
        ("http://[2001:DB8::1]:80/", "2001:db8::1"),
        ("https://127.0.0.1/", "127.0.0.1"),
    ] {
        assert_eq!(url_of(url).host, host);
    }
    for url in ["ftp://a.test/", "ws://a.test/", "/x", "http://./"] {
        assert_eq!(url.parse().ok().and_then(|url| CookieUrl::of(&url)), None, "{url}");
    }
}

#[test]
fn the_default_path_is_the_folder() {
    for (path, folder) in [
        ("/", "/"),
        ("/x", "/"),
        ("/x/", "/x"),
        ("/x/y", "/x"),
        ("/x/y/", "/x/y"),
        ("//", "/"),
        ("/x//y", "/x/"),
        ("/x?y/z", "/"),
    ] {
        assert_eq!(url_of(&format!("http://a.test{path}")).default_path(), folder, "{path}");
    }
    assert_eq!(url_of("http://a.test").default_path(), "/");
}

#[test]
fn a_path_matches_at_slashes_only() {
    for (request, cookie, matches) in [
        ("/", "/", true),
        ("/x", "/", true),
        ("/x", "/x", true),
        ("/x/", "/x", true),
        ("/x/y", "/x", true),
        ("/x/y", "/x/", true),
        ("/x", "/x/", false),
        ("/xy", "/x", false),
        ("/X", "/x", false),
        ("/", "/x", false),
    ] {
        assert_eq!(path_matches(request, cookie), matches, "{request} below {cookie}");
    }
}

#[test]
fn what_was_set_is_sent_where_it_belongs() {
    const HERE: &str = "http://www.host.test/some/path/index.html";
    // Set from here; asked for there; sent.
    for (line, url, cookies) in [
        ("a=1", "http://www.host.test/some/path", "a=1"),
        ("a=1", "https://www.host.test:81/some/path/deep/x", "a=1"),
        ("a=1", "http://www.host.test/some/paths", ""),
        ("a=1", "http://www.host.test/", ""),
        ("a=1; Path=/", "http://www.host.test/", "a=1"),
        ("a=1; Path=/", "http://host.test/", ""),
        ("a=1; Path=/", "http://deep.www.host.test/", ""),
        ("a=1; Path=/", "http://www.host.test./", "a=1"),
        ("a=1; Path=/; Domain=host.test", "http://host.test/", "a=1"),
        ("a=1; Path=/; Domain=.HOST.test", "http://deep.other.host.test/", "a=1"),
        ("a=1; Path=/; Domain=host.test", "http://ghost.test/", ""),
        ("a=1; Path=/; Domain=other.test", "http://other.test/", ""),
        ("a=1; Path=/; Domain=", "http://www.host.test/", "a=1"),
        ("a=1; Path=/; Domain=other.test; Domain=host.test", "http://host.test/", "a=1"),
        ("a=1; Path=/; Domain=host.test; Domain=", "http://host.test/", ""),
        ("a=1; Path=relative", "http://www.host.test/some/path/x", "a=1"),
        ("a=1; Path=/x; Path=/y", "http://www.host.test/y", "a=1"),
        ("a=1; Path=/x; Path=", "http://www.host.test/some/path", "a=1"),
        ("a=1;Path=/;;; =; Unknown=x; HttpOnly", "http://www.host.test/", "a=1"),
        ("  a \t= 1 2 ;  pAtH = / ", "http://www.host.test/", "a=1 2"),
        ("a=\"quo ted\"; Path=/", "http://www.host.test/", "a=\"quo ted\""),
        ("a=1\t2; Path=/", "http://www.host.test/", "a=1\t2"),
        ("a\tb=1; Path=/", "http://www.host.test/", "a\tb=1"),
        ("a=b=c; Path=/", "http://www.host.test/", "a=b=c"),
        ("a=; Path=/", "http://www.host.test/", "a="),
        ("alone; Path=/", "http://www.host.test/", "alone"),
        ("=alone; Path=/", "http://www.host.test/", "alone"),
        ("a[b]={\"c\":1}; Path=/", "http://www.host.test/", "a[b]={\"c\":1}"),
        ("\u{e4}=\u{f6}; Path=/", "http://www.host.test/", "\u{e4}=\u{f6}"),
        ("a=1; Path=/; SameSite=Strict", "http://www.host.test/", "a=1"),
    ] {
        assert_eq!(sent(&mut store_of(&[(HERE, line)]), url), cookies, "{line} at {url}");
    }
}

#[test]
fn what_is_no_cookie_is_passed_over() {
    for (line, reason) in [
        ("", "a cookie has neither name nor value"),
        ("=", "a cookie has neither name nor value"),
        ("; Path=/", "a cookie has neither name nor value"),
        ("a=1\u{0}", "a cookie has a control character"),
        ("a=1; Path=/\u{1}", "a cookie has a control character"),
        ("a=1\r\nEvil: 1", "a cookie has a control character"),
        ("a=1\u{7f}", "a cookie has a control character"),
    ] {
        assert_eq!(refusal("http://a.test/", line), Some(reason), "{line:?}");
    }
    let line = b"\xff=1";
    let refused = CookieStore::default().set(&url_of("http://a.test/"), line, start());
    assert_eq!(refused, Err("the name of a cookie is no text"));
}

#[test]
fn a_value_that_is_no_text_goes_back_as_it_came() {
    let mut store = CookieStore::default();
    let here = url_of("http://a.test/");
    for line in [&b"a=\xffb\xe9; Path=/; Comment=\xff"[..], b"c=\xc3\xa9", b"\xfe"] {
        store.set(&here, line, start()).unwrap();
    }
    assert_eq!(store.field(&here, start()).unwrap(), b"a=\xffb\xe9; c=\xc3\xa9; \xfe");
    let all = store.all(start());
    assert_eq!((all[0].value.as_str(), all[0].value_bytes()), ("\u{fffd}b\u{fffd}", &b"\xffb\xe9"[..]));
    assert_eq!((all[1].value.as_str(), all[1].value_bytes()), ("\u{e9}", "\u{e9}".as_bytes()));
    let refused = CookieStore::default().set(&here, b"a=\xff\x01", start());
    assert_eq!(refused, Err("a cookie has a control character"));
}

impl CookieStore {
    /// The field of a request where all values are text.
    fn cookies(&mut self, url: &CookieUrl, now: SystemTime) -> Option<String> {
        self.field(url, now).map(|field| String::from_utf8(field).unwrap())
    }
}

#[test]
fn a_cookie_is_of_4096_bytes_and_an_attribute_of_1024_at_most() {
    let pair = |length: usize| format!("ab={}", "x".repeat(length - 2));
    assert_eq!(refusal("http://a.test/", &pair(4096)), None);
    assert_eq!(refusal("http://a.test/", &pair(4097)), Some("a cookie is over 4,096 bytes long"));
    let path = |length: usize| format!("/{}", "x".repeat(length - 1));
    for (length, is_sent) in [(1024, false), (1025, true)] {
        let line = format!("a=1; Path={}", path(length));
        let mut store = store_of(&[("http://a.test/", &line)]);
        assert_eq!(sent(&mut store, "http://a.test/") == "a=1", is_sent, "{length}: passed over, it is the default");
    }
}

#[test]
fn secure_cookies_keep_to_secure_connections() {
    let mut store = store_of(&[("https://a.test/", "a=1; Secure"), ("http://a.test/", "b=1; Secure")]);
    assert_eq!(sent(&mut store, "https://a.test/"), "a=1");
    assert_eq!(sent(&mut store, "http://a.test/"), "");
    for url in ["http://localhost:81/", "http://x.LOCALHOST/", "http://127.0.0.2/", "http://[::1]/"] {
        assert_eq!(sent(&mut store_of(&[(url, "a=1; Secure")]), url), "a=1", "{url}");
    }
    assert!(refusal("http://notlocalhost/", "a=1; Secure").is_some());
}

#[test]
fn http_leaves_secure_cookies_alone() {
    const SECURE: (&str, &str) = ("https://www.a.test/x/", "a=secure; Secure; Domain=a.test; Path=/x");
    // Set over http after it: whether that is taken.
    for (url, line, is_taken) in [
        ("http://www.a.test/", "a=1; Domain=a.test; Path=/x", false),
        ("http://www.a.test/", "a=1; Path=/x/y", false),
        ("http://a.test/", "a=1; Path=/x", false),
        ("http://deep.www.a.test/", "a=1; Path=/x", false),
        ("http://www.a.test/", "a=; Max-Age=0; Domain=a.test; Path=/x", false),
        ("http://www.a.test/", "a=1; Path=/", true),
        ("http://www.a.test/", "a=1; Path=/xy", true),
        ("http://www.a.test/", "A=1; Path=/x", true),
        ("https://www.a.test/", "a=1; Path=/x", true),
    ] {
        let mut store = store_of(&[SECURE]);
        assert_eq!(store.set(&url_of(url), line.as_bytes(), after(1)).is_ok(), is_taken, "{url} {line}");
        assert!(sent(&mut store, "https://www.a.test/x").contains("a=secure"));
    }
}

#[test]
fn prefixes_are_held_to_what_they_promise() {
    for (url, line, is_taken) in [
        ("https://a.test/", "__Secure-a=1; Secure", true),
        ("https://a.test/", "__Secure-a=1", false),
        ("https://a.test/", "__sEcUrE-a=1", false),
        ("http://a.test/", "__Secure-a=1; Secure", false),
        ("https://a.test/", "__Host-a=1; Secure; Path=/", true),
        ("https://a.test/", "__host-a=1; Secure; Path=/; Domain=a.test", false),
        ("https://a.test/", "__Host-a=1; Secure", false),
        ("https://a.test/x/", "__Host-a=1; Secure; Path=/x", false),
        ("https://a.test/", "__HOST-a=1; Path=/", false),
        ("https://a.test/", "=__Host-a=1; Secure; Path=/", false),
        ("https://a.test/", "__Secure-a; Secure", false),
        ("https://a.test/", "__Hosta=1", true),
    ] {
        assert_eq!(refusal(url, line).is_none(), is_taken, "{url} {line}");
    }
}

#[test]
fn longer_paths_come_first_and_then_the_older_cookies() {
    let mut store = store_of(&[
        ("http://a.test/", "short=1; Path=/"),
        ("http://a.test/", "long=1; Path=/x/y"),
        ("http://a.test/", "middle1=1; Path=/x/"),
        ("http://a.test/", "middle2=1; Path=/x/"),
        ("http://a.test/", "domain=1; Path=/; Domain=a.test"),
        ("http://a.test/", "short=2; Path=/"),
    ]);
    assert_eq!(sent(&mut store, "http://a.test/x/y"), "long=1; middle1=1; middle2=1; short=2; domain=1");
}

#[test]
fn a_cookie_set_again_keeps_its_birth_and_one_that_differs_in_place_is_another() {
    let mut store = store_of(&[
        ("http://a.test/", "a=1"),
        ("http://a.test/", "b=1"),
        ("http://a.test/", "a=2; HttpOnly; Max-Age=1000; SameSite=lax"),
        ("http://a.test/", "a=3; Domain=a.test"),
        ("http://a.test/", "a=4; Path=/x"),
        ("http://a.test/", "A=5"),
    ]);
    assert_eq!(sent(&mut store, "http://a.test/x"), "a=4; a=2; b=1; a=3; A=5");
    let first = store.all(start()).into_iter().next().unwrap();
    assert_eq!((first.created, first.expires, first.last_access), (start(), Some(after(1002)), after(100)));
    assert!(first.http_only && !first.secure && first.host_only && first.same_site == SameSite::Lax);
}

#[test]
fn max_age_goes_before_expires_and_neither_goes_beyond_400_days() {
    let days = |days: u64| Some(after(days * 24 * 3600));
    let at = |seconds| format!("Expires={}", format_time(after(seconds)));
    for (attributes, expires) in [
        (String::new(), None),
        ("Max-Age=60".into(), Some(after(60))),
        (at(60), Some(after(60))),
        (format!("Max-Age=60; {}", at(90)), Some(after(60))),
        (format!("{}; max-age=60", at(0)), Some(after(60))),
        ("Max-Age=060".into(), Some(after(60))),
        ("Max-Age=99999999999".into(), days(400)),
        (format!("Max-Age={}", "9".repeat(100)), days(400)),
        (at(500 * 24 * 3600), days(400)),
        ("Expires=Fri, 31 Dec 9999 23:59:59 GMT".into(), days(400)),
        ("Max-Age=".into(), None),
        ("Max-Age=+60".into(), None),
        ("Max-Age=60s".into(), None),
        ("Max-Age=--1".into(), None),
        ("Max-Age=60; Max-Age=x".into(), Some(after(60))),
        ("Expires=tomorrow".into(), None),
        (format!("{}; Expires=tomorrow", at(60)), Some(after(60))),
    ] {
        let store = store_of(&[("http://a.test/", &format!("a=1; {attributes}"))]);
        assert_eq!(store.all(start()).first().expect(&attributes).expires, expires, "{attributes}");
    }
}

#[test]
fn a_cookie_whose_end_has_passed_is_deleted_and_one_that_ends_is_no_longer_sent() {
    for end in ["Max-Age=0", "Max-Age=-1", "Max-Age=-99999999999999999999", "Expires=Thu, 01 Jan 1970 00:00:00 GMT"] {
        let mut store = store_of(&[
            ("http://a.test/", "a=1"),
            ("http://a.test/", "b=1"),
            ("http://a.test/", &format!("a=; {end}")),
        ]);
        assert_eq!((sent(&mut store, "http://a.test/").as_str(), store.count), ("b=1", 1), "{end}");
        let mut empty = store_of(&[("http://a.test/", &format!("a=1; {end}"))]);
        assert_eq!((sent(&mut empty, "http://a.test/").as_str(), empty.count, empty.sites.len()), ("", 0, 0));
    }
    let mut store = store_of(&[("http://a.test/", "a=1; Max-Age=10"), ("http://a.test/", "b=1; Max-Age=20")]);
    let here = url_of("http://a.test/");
    for (second, cookies) in [(9, Some("a=1; b=1")), (10, Some("b=1")), (20, Some("b=1")), (21, None)] {
        assert_eq!(store.cookies(&here, after(second)).as_deref(), cookies, "after {second} s");
    }
    assert_eq!((store.count, store.sites.len()), (0, 0), "what has ended takes no room");
}

#[test]
fn a_site_has_180_cookies_and_those_that_are_not_secure_go_first() {
    let mut store = CookieStore::default();
    let here = url_of("https://www.a.test/");
    store.set(&here, b"old-secure=1; Secure", start()).unwrap();
    store.set(&here, b"used=1; Domain=a.test", start()).unwrap();
    for n in 0..300_u64 {
        // Hosts below one domain are one site.
        let below = url_of(&format!("https://h{n}.a.test/"));
        store.set(&below, format!("n{n}=1").as_bytes(), after(n)).unwrap();
        assert_eq!(store.cookies(&here, after(n)).as_deref(), Some("old-secure=1; used=1"), "{n}");
    }
    assert_eq!(store.count, MAX_SITE_COUNT);
    let names: Vec<_> = store.all(after(300)).into_iter().map(|cookie| cookie.name).collect();
    assert!(names.contains(&"n299".into()) && !names.contains(&"n0".into()), "the oldest go: {names:?}");

    let mut ended = CookieStore::default();
    ended.set(&here, b"keep=1", start()).unwrap();
    for n in 0..179 {
        ended.set(&here, format!("n{n}=1; Max-Age=5").as_bytes(), after(1)).unwrap();
    }
    ended.set(&here, b"one-more=1", after(10)).unwrap();
    assert_eq!(ended.cookies(&here, after(10)).as_deref(), Some("keep=1; one-more=1"));
}

#[test]
fn all_sites_have_3000_cookies_and_the_one_not_used_for_longest_goes() {
    let mut store = CookieStore::default();
    for n in 0..MAX_TOTAL_COUNT as u64 {
        store.set(&url_of(&format!("http://s{n}.test/")), b"a=1; Max-Age=1000000", after(n)).unwrap();
    }
    assert_eq!(sent_at(&mut store, "http://s0.test/", 4000), "a=1");
    for n in 0..5 {
        store.set(&url_of(&format!("http://new{n}.test/")), b"a=1", after(5000)).unwrap();
        assert_eq!(store.count, MAX_TOTAL_COUNT);
    }
    for (url, cookies) in
        [("http://s0.test/", "a=1"), ("http://s1.test/", ""), ("http://s5.test/", ""), ("http://s6.test/", "a=1")]
    {
        assert_eq!(sent_at(&mut store, url, 5000), cookies, "{url}");
    }
    store.set(&url_of("http://new.test/"), b"a=1", after(2_000_000)).unwrap();
    assert_eq!(store.count, 6, "what has ended goes first");
}

fn sent_at(store: &mut CookieStore, url: &str, second: u64) -> String {
    store.cookies(&url_of(url), after(second)).unwrap_or_default()
}

#[test]
fn cookies_go_through_a_cookies_txt_and_back() {
    let store = store_of(&[
        ("https://www.a.test/", "host=1; Max-Age=100; Secure; HttpOnly"),
        ("https://www.a.test/", "domain=\"a b\"; Max-Age=100; Domain=a.test; Path=/x"),
        ("http://[::1]/", "address="),
        ("http://www.a.test/", "nameless"),
    ]);
    let text = netscape::write(&store.all(start()), SessionCookies::Kept);
    let lines = "# Netscape HTTP Cookie File\n\
         #HttpOnly_www.a.test\tFALSE\t/\tTRUE\t1700000100\thost\t1\n\
         .a.test\tTRUE\t/x\tFALSE\t1700000101\tdomain\t\"a b\"\n\
         ::1\tFALSE\t/\tFALSE\t0\taddress\t\n\
         www.a.test\tFALSE\t/\tFALSE\t0\t\tnameless\n";
    assert_eq!(text, lines);
    for text in [text.clone(), text.replace('\n', "\r\n"), text.replace("address\t\n", "address\n")] {
        let back = netscape::read(&text, after(50)).unwrap();
        assert_eq!(netscape::write(&back.all(start()), SessionCookies::Kept), lines);
        let facts = |store: &CookieStore| -> Vec<_> {
            let fact =
                |c: StoredCookie| (c.name, c.value, c.domain, c.host_only, c.path, c.secure, c.http_only, c.expires);
            store.all(start()).into_iter().map(fact).collect()
        };
        assert_eq!(facts(&back), facts(&store));
    }
    let without = netscape::write(&store.all(start()), SessionCookies::Dropped);
    assert_eq!(without.lines().count(), 3);
}

#[test]
fn a_cookies_txt_gets_nothing_into_a_jar_that_a_server_would_not() {
    for line in [
        ".com\tTRUE\t/\tFALSE\t0\ta\t1",
        ".co.uk\tTRUE\t/\tFALSE\t0\ta\t1",
        "a.test\tFALSE\t/\tFALSE\t1700000000\tended\t1",
        "a.test\tFALSE\t/\tFALSE\t-1\tended\t1",
        "a.test\tFALSE\t/\tFALSE\t0\t\t",
        "a.test\tFALSE\t/\tFALSE\t0\ta\t1; b=2",
        "a.test\tFALSE\t/\tFALSE\t0\ta\t\u{1}",
        "a.test\tFALSE\t/\tFALSE\t0\t__Host-a\t1",
    ] {
        assert_eq!(netscape::read(line, start()).unwrap().count, 0, "{line}");
    }
    let far = netscape::read(".a.test\tTRUE\t/\tFALSE\t99999999999.5\ta\t1", start()).unwrap();
    assert_eq!(far.all(start()).first().unwrap().expires, Some(after(400 * 24 * 3600)));
}

#[test]
fn a_line_that_is_none_of_a_cookies_txt_is_named_by_its_number() {
    for bad in [
        "no cookie",
        "a.test\tFALSE\tx\tFALSE\t0\ta\t1",
        "a.test\tFALSE\t/\tFALSE\tsoon\ta\t1",
        "\tFALSE\t/\tFALSE\t0\ta\t1",
    ] {
        let error = Jar::from_netscape(&format!("# a comment\n\n{bad}\n")).unwrap_err();
        assert_eq!(error.message(), "line 3 is no cookie of a cookies.txt", "{bad}");
    }
}

#[test]
fn a_domain_that_is_no_host_is_none_of_a_cookies_txt() {
    for domain in ["..a", "a..", "..", ".", "a..b", ".# x", "a b", "a#b", "a/b", "a:1", "[::1]x", "a\\b", "\u{e4}.test"]
    {
        let line = format!("{domain}\tTRUE\t/\tFALSE\t0\ta\t1");
        assert!(netscape::read(&line, start()).is_err(), "{domain}");
    }
    for domain in ["a", ".a.test", "A_b-1.test.", "127.0.0.1", "::1", "2001:db8::1", "[::1]"] {
        let line = format!("{domain}\tFALSE\t/\tFALSE\t0\ta\t1");
        assert_eq!(netscape::read(&line, start()).map(|store| store.count).ok(), Some(1), "{domain}");
    }
}

#[test]
fn hosts_with_empty_labels_have_no_cookies() {
    for url in ["http://..a.test/", "http://a..test/", "http://a.test../"] {
        let url: Option<http::Uri> = url.parse().ok();
        assert_eq!(url.and_then(|url| CookieUrl::of(&url)), None);
    }
}

/// Numbers that look random, and are the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    /// A few of these, one after the other.
    fn text(&mut self, pieces: &[&str]) -> String {
        (0..self.below(5)).map(|_| self.pick(pieces)).collect()
    }
}

/// Pieces of which cookies are made: what is common, and what has a meaning somewhere.
const PIECES: [&str; 20] = [
    "a",
    "B",
    "test",
    ".",
    "..",
    "/",
    "/x",
    "\t",
    " ",
    "#",
    "#HttpOnly_",
    "=",
    "\"",
    "\u{e4}",
    "\r",
    "\u{1}",
    ":",
    "1",
    "__Host-",
    "%41",
];

#[test]
fn what_is_written_to_a_cookies_txt_reads_back_the_same() {
    let mut written = 0;
    for seed in 1..2000_u64 {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut store = CookieStore::default();
        for _ in 0..4 {
            // Set by a response: the host, the pair and the path are anything.
            let host = random.text(&["a", "b.test", ".", "-", "_", "test", "1"]);
            let url = format!("{}://{host}/x/y", random.pick(&["http", "https"])).parse().ok();
            let line = format!(
                "{}={}; Path=/{}; {}; {}; {}",
                random.text(&PIECES),
                random.text(&PIECES),
                random.text(&PIECES),
                random.pick(&["", "Secure"]),
                random.pick(&["", "HttpOnly", "Domain=test", "Domain=b.test"]),
                random.pick(&["", "Max-Age=7", "Max-Age=99999999999"]),
            );
            if let Some(url) = url.and_then(|url| CookieUrl::of(&url)) {
                let _ = store.set(&url, line.as_bytes(), start());
            }
            // Read from a file that somebody else wrote.
            let line = [
                random.text(&PIECES),
                random.pick(&["TRUE", "FALSE"]).into(),
                format!("/{}", random.text(&PIECES)),
                random.pick(&["TRUE", "FALSE"]).into(),
                random.pick(&["0", "1700000009", "1700000009.5", "99999999999"]).into(),
                random.text(&PIECES),
                random.text(&PIECES),
            ];
            let read = netscape::read(&line.join("\t"), start()).map(|read| read.all(start())).unwrap_or_default();
            for cookie in read {
                let StoredCookie { name, value, domain, host_only, path, secure, http_only, .. } = cookie;
                let line =
                    SetCookie { name, value: value.into(), domain, path, secure, http_only, ..SetCookie::default() };
                store.restore(line, host_only, start()).expect("it was restored before");
            }
        }
        let facts = |store: &CookieStore| -> Vec<_> {
            let all = store.all(start()).into_iter().filter(|cookie| !cookie.name.contains('\t'));
            all.map(|c| (c.name, c.value, c.domain, c.host_only, c.path, c.secure, c.http_only, c.expires)).collect()
        };
        let text = netscape::write(&store.all(start()), SessionCookies::Kept);
        let back = netscape::read(&text, start()).unwrap_or_else(|error| panic!("seed {seed}: {error}: {text:?}"));
        assert_eq!(facts(&back), facts(&store), "seed {seed}");
        assert_eq!(netscape::write(&back.all(start()), SessionCookies::Kept), text, "seed {seed}");
        written += facts(&store).len();
    }
    assert!(written > 1000, "{written} cookies say little");
}
