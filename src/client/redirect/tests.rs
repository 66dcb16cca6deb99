//! Each test is a redirect, and what must become of the request.

use super::*;

/// A hop with what most tests leave as it is.
struct Case {
    status: u16,
    response: Header,
    method: Method,
    url: &'static str,
    header: Header,
    host: &'static str,
    content: RequestContent,
    referer: Referer,
    cookies: Cookies,
    also_sensitive: Vec<String>,
    followed: usize,
}

fn redirect(status: u16, url: &'static str, location: impl AsRef<[u8]>) -> Case {
    let mut response = Header::new();
    response.set("Location", location);
    Case {
        status,
        response,
        method: Method::GET,
        url,
        header: Header::new(),
        host: "",
        content: RequestContent::None,
        referer: Referer::Caller,
        cookies: Cookies::Caller,
        also_sensitive: Vec::new(),
        followed: 0,
    }
}

impl Case {
    fn with(mut self, name: &str, value: &str) -> Case {
        self.header.add(name, value);
        self
    }

    fn method(mut self, method: &str) -> Case {
        self.method = method.parse().unwrap();
        self
    }

    fn decide(&self) -> RedirectDecision {
        decide(Hop {
            status: StatusCode::from_u16(self.status).unwrap(),
            response: &self.response,
            method: &self.method,
            url: &self.url.parse().unwrap(),
            header: &self.header,
            host: self.host,
            content: self.content,
            referer: self.referer,
            cookies: self.cookies,
            also_sensitive: &self.also_sensitive,
            followed: self.followed,
            limit: 10,
        })
    }

    fn next(&self) -> NextRequest {
        match self.decide() {
            RedirectDecision::Follow(next) => *next,
            other => panic!("{} {:?}: {other:?}", self.url, self.response),
        }
    }

    fn refusal(&self) -> String {
        match self.decide() {
            RedirectDecision::Refused(error) => {
                assert_eq!((error.kind(), error.phase()), (ErrorKind::Redirect, Some(Phase::Redirect)));
                error.message().to_owned()
            }
            other => panic!("{} {:?}: {other:?}", self.url, self.response),
        }
    }

    fn is_the_callers(&self) -> bool {
        matches!(self.decide(), RedirectDecision::No)
    }
}

fn names(header: &Header) -> Vec<&str> {
    header.iter().map(|(name, _)| name).collect()
}

#[test]
fn the_first_three_become_get_and_head_stays_head() {
    for status in [301, 302, 303] {
        for (method, then) in
            [("GET", "GET"), ("HEAD", "HEAD"), ("POST", "GET"), ("PUT", "GET"), ("DELETE", "GET"), ("QUERY", "GET")]
        {
            let next = redirect(status, "http://a.test/", "/x").method(method).next();
            assert_eq!((next.method.as_str(), next.content), (then, NextContent::Dropped), "{status} {method}");
        }
    }
}

#[test]
fn the_other_two_repeat_method_and_content() {
    for status in [307, 308] {
        for content in [RequestContent::None, RequestContent::Replayable] {
            let mut case = redirect(status, "http://a.test/", "/x").method("PUT").with("Content-Type", "text/plain");
            case.content = content;
            let next = case.next();
            assert_eq!((next.method.as_str(), next.content), ("PUT", NextContent::Kept));
            assert_eq!(next.header.get("Content-Type"), Some("text/plain"));
        }
    }
}

#[test]
fn where_content_is_gone_it_is_the_callers_business_unless_none_is_needed() {
    for (status, is_the_callers) in [(301, false), (302, false), (303, false), (307, true), (308, true)] {
        let mut case = redirect(status, "http://a.test/", "/x").method("POST");
        case.content = RequestContent::Gone;
        assert_eq!(case.is_the_callers(), is_the_callers, "{status}");
    }
}

#[test]
fn no_other_status_is_followed() {
    for status in (100..=999).filter(|status| ![301, 302, 303, 307, 308].contains(status)) {
        assert!(redirect(status, "http://a.test/", "/x").is_the_callers(), "{status}");
    }
}

#[test]
fn without_a_location_a_response_is_the_callers() {
    for status in [301, 302, 303, 307, 308] {
        let mut case = redirect(status, "http://a.test/", "");
        assert!(case.is_the_callers(), "{status}: an empty one is none");
        case.response.del("Location");
        assert!(case.is_the_callers(), "{status}");
    }
}

#[test]
fn of_several_locations_all_must_say_the_same() {
    let mut case = redirect(302, "http://a.test/", "/x");
    case.response.add("location", " /x");
    assert_eq!(case.next().url, "http://a.test/x");
    case.response.add("location", "/y");
    assert_eq!(case.refusal(), "the response has several Locations");
}

#[test]
fn a_location_that_leads_nowhere_fails() {
    for (location, reason) in [
        ("ftp://127.0.0.1/x", "the scheme ftp is not supported: http and https are"),
        ("file:///etc/passwd", "the scheme file is not supported: http and https are"),
        ("javascript:alert(1)", "the scheme javascript is not supported: http and https are"),
        ("http://[::1", "the host of the URL is no host"),
        ("http://a.test/\u{1}", "the URL has a control character: it must be escaped"),
        ("http://a.test:80\\@b.test/", "the URL has a backslash in its host"),
        ("//b.test\\@a.test/", "the URL has a backslash in its host"),
        ("http:///x", "the URL has no host"),
        ("///b.test/x", "the URL has no host"),
        ("http:x", "the URL has no host"),
        ("http://a.test:99999/", "the port of the URL is no port"),
    ] {
        let refusal = redirect(302, "http://a.test/", location).refusal();
        assert_eq!(refusal, format!("the Location cannot be followed: {reason}"), "{location}");
    }
}

#[test]
fn ten_are_followed_and_no_more() {
    let mut case = redirect(302, "http://a.test/", "/x");
    case.followed = 9;
    assert_eq!(case.next().url, "http://a.test/x");
    case.followed = 10;
    assert_eq!(case.refusal(), "stopped after 10 redirects");
    case.status = 200;
    assert!(case.is_the_callers(), "the last one may lead to an answer");
}

const SECRETS: [&str; 6] =
    ["authorization", "www-authenticate", "COOKIE", "cookie2", "Proxy-Authorization", "Proxy-Authenticate"];

fn with_secrets(url: &'static str, location: &str) -> Case {
    let case = redirect(302, url, location).with("X-Plain", "1").with("X-Api-Key", "k");
    SECRETS.iter().fold(case, |case, name| case.with(name, "secret"))
}

#[test]
fn secrets_stay_with_their_origin() {
    for (url, location, stay) in [
        ("http://a.test/", "/x", true),
        ("http://a.test/", "http://a.test/x", true),
        ("http://a.test/", "HTTP://A.TEST:80/x", true),
        ("https://a.test/", "https://a.test:443/x", true),
        ("http://a.test:81/", "//a.test:81/x", true),
        ("http://a.test/", "//b.test/x", false),
        ("http://a.test/", "http://sub.a.test/x", false),
        ("http://sub.a.test/", "http://a.test/x", false),
        ("http://a.test/", "http://a.test:81/x", false),
        ("http://a.test:81/", "http://a.test/x", false),
        ("https://a.test/", "http://a.test/x", false),
        ("http://a.test/", "https://a.test/x", false),
        ("http://a.test/", "http://a.test./x", false),
        ("http://127.0.0.1/", "http://localhost/", false),
        ("http://xn--bcher-kva.test/", "http://b\u{fc}cher.test/", true),
    ] {
        let header = with_secrets(url, location).next().header;
        for name in SECRETS {
            assert_eq!(header.contains(name), stay, "{url} to {location}: {name}");
        }
        assert!(header.contains("X-Plain") && header.contains("X-Api-Key"));
    }
}

#[test]
fn the_caller_may_name_more_secrets() {
    let mut case = with_secrets("http://a.test/", "http://b.test/");
    case.also_sensitive = vec!["x-api-key".into()];
    assert_eq!(names(&case.next().header), ["X-Plain", "Referer"]);
}

#[test]
fn a_secret_that_was_dropped_does_not_come_back() {
    let first = with_secrets("http://a.test/", "http://b.test/hop2").next();
    let mut second = redirect(302, "http://b.test/hop2", "/hop3");
    second.header = first.header;
    let mut third = redirect(302, "http://b.test/hop3", "http://a.test/");
    third.header = second.next().header;
    let home = third.next();
    assert!(SECRETS.iter().all(|name| !home.header.contains(name)), "{:?}", home.header);
}

#[test]
fn credentials_of_the_url_stay_with_its_host() {
    let user = |location: &str| {
        let next = redirect(302, "http://user:pass@a.test/", location).next();
        (next.url.authority().unwrap().to_string(), next.header.get("Referer").unwrap().to_owned())
    };
    let referer = || "http://a.test/".to_owned();
    assert_eq!(user("/x"), ("user:pass@a.test".into(), referer()));
    assert_eq!(user("//b.test/x"), ("b.test".into(), referer()));
    assert_eq!(user("http://b.test/"), ("b.test".into(), referer()));
}

#[test]
fn fields_that_speak_of_content_go_with_it() {
    let fields = [
        ("Content-Type", "a/b"),
        ("content-length", "3"),
        ("Content-Encoding", "gzip"),
        ("Content-Language", "de"),
        ("CONTENT-LOCATION", "/"),
        ("Content-Digest", "x"),
        ("Transfer-Encoding", "chunked"),
        ("Trailer", "X"),
        ("Expect", "100-continue"),
        ("Accept", "*/*"),
        ("Context", "stays"),
    ];
    let case = |status| fields.iter().fold(redirect(status, "http://a.test/", "/"), |case, (n, v)| case.with(n, v));
    assert_eq!(names(&case(302).next().header), ["Accept", "Context", "Referer"]);
    assert_eq!(case(307).next().header.len(), fields.len() + 1);
}

#[test]
fn the_referer_is_the_last_url_unless_the_caller_set_one() {
    let case = |referer, field: &str| {
        let mut case = redirect(302, "http://u:p@a.test/from?q=1", "/to");
        case.referer = referer;
        if !field.is_empty() {
            case.header.set("Referer", field);
        }
        let next = case.next();
        (next.header.get("Referer").unwrap().to_owned(), next.referer)
    };
    let from = || "http://a.test/from?q=1".to_owned();
    assert_eq!(case(Referer::Caller, ""), (from(), Referer::Redirect));
    assert_eq!(case(Referer::Redirect, "http://a.test/before"), (from(), Referer::Redirect));
    assert_eq!(case(Referer::Caller, "http://own.test/"), ("http://own.test/".into(), Referer::Caller));
}

#[test]
fn there_is_no_referer_from_https_to_http() {
    let case = redirect(302, "https://a.test/secret", "http://a.test/").with("Referer", "https://own.test/");
    let next = case.next();
    assert_eq!((next.header.get("Referer"), next.referer), (None, Referer::Redirect));
    let up = redirect(302, "http://a.test/x", "https://a.test/").next();
    assert_eq!(up.header.get("Referer"), Some("http://a.test/x"));
}

#[test]
fn a_host_of_the_callers_own_is_kept_where_the_location_names_none() {
    for (location, host) in [
        ("/x", "own.test"),
        ("x?u=http://b.test", "own.test"),
        ("?x:y", "own.test"),
        ("./a:b", "own.test"),
        ("http://a.test/x", ""),
        ("//a.test/x", ""),
    ] {
        let mut case = redirect(302, "http://a.test/", location);
        case.host = "own.test";
        assert_eq!(case.next().host, host, "{location}");
    }
}

#[test]
fn with_a_jar_a_cookie_that_is_set_anew_is_no_longer_the_callers() {
    let case = |cookies, set: &[&str]| {
        let mut case = redirect(302, "http://a.test/", "/").with("Cookie", "a=1; b=2").with("Cookie", "c=3");
        case.cookies = cookies;
        for line in set {
            case.response.add("Set-Cookie", line);
        }
        let header = case.next().header;
        header.values("Cookie").map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(case(Cookies::Jar, &["b=4; Path=/"]), ["a=1; c=3"]);
    assert_eq!(case(Cookies::Jar, &["B=4", "d=5"]), ["a=1; b=2", "c=3"]);
    assert_eq!(case(Cookies::Jar, &["a=;", "b=", " c = 4"]), [""; 0]);
    assert_eq!(case(Cookies::Caller, &["b=4"]), ["a=1; b=2", "c=3"]);
}

#[test]
fn all_other_fields_go_along_in_their_order() {
    let case = redirect(308, "http://a.test/", "//b.test/").with("X-B", "1").with("x-a", "2").with("X-B", "3");
    let header = case.next().header;
    assert_eq!(names(&header), ["X-B", "x-a", "X-B", "Referer"]);
}
