//! Whole lookups. The tables were run beside Go's `ServeMux`; where it differs, the case says so.

use std::collections::HashMap;

use http::Uri;

use super::conflict::tests::{matches_path, pattern};
use super::conflict::{Relation, hosts, methods_and_paths};
use super::dispatch::{Dispatch, OwnResponse, OwnResponseKind};
use super::pattern::Pattern;
use super::segment::Segment;
use super::serve_mux::{Lookup, ServeMux};
use crate::error::Result;
use crate::message::{Body, Request};
use crate::server::ResponseWriter;

async fn silent(_: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    Ok(())
}

fn mux(patterns: &[&str]) -> ServeMux {
    let mux = ServeMux::new();
    patterns.iter().for_each(|pattern| mux.handle(pattern, silent));
    mux
}

fn request(method: &str, host: &str, target: &str) -> Request {
    let uri: Uri = target.parse().expect("a target");
    let mut request = Request::new(method.parse().expect("a method"), uri, Body::empty());
    request.request_uri = target.to_owned();
    if request.host.is_empty() {
        request.host = host.to_owned();
    }
    request
}

/// A lookup in one line: the pattern, `-> location (pattern)`, `405 allow`, or `404`.
fn found(mux: &ServeMux, method: &str, host: &str, target: &str) -> String {
    match mux.lookup(&request(method, host, target)) {
        Lookup::Matched { pattern } => pattern.to_string(),
        Lookup::Redirect { location, pattern } => format!("-> {location} ({pattern})"),
        Lookup::MethodNotAllowed { allow } => format!("405 {allow}"),
        Lookup::NotFound => "404".into(),
    }
}

#[track_caller]
fn check(patterns: &[&str], cases: &[(&str, &str, &str)]) {
    for order in [patterns.to_vec(), patterns.iter().rev().copied().collect()] {
        let mux = mux(&order);
        for (method, target, expected) in cases {
            assert_eq!(found(&mux, method, "a.test", target), *expected, "{method} {target} in {order:?}");
        }
    }
}

#[test]
fn a_host_with_a_dot_at_its_end_is_the_same_host() {
    let mux = mux(&["a.test/", "b.test./", "/"]);
    for (host, pattern) in [
        ("a.test.", "a.test/"),
        ("A.test.:8080", "a.test/"),
        ("b.test", "b.test./"),
        ("b.test.", "b.test./"),
        ("a.test..", "/"),
        (".", "/"),
    ] {
        assert_eq!(found(&mux, "GET", host, "/x"), pattern, "{host}");
    }
    let again = mux.try_handle("a.test./", silent).unwrap_err();
    assert!(again.to_string().contains("conflicts"), "{again}");
}

#[test]
fn an_empty_mux_finds_nothing() {
    check(
        &[],
        &[
            ("GET", "/", "404"),
            ("GET", "/a/../b", "-> /b ()"),
            ("CONNECT", "a.test:443", "404"),
            ("OPTIONS", "*", "404"),
        ],
    );
}

#[test]
fn the_most_specific_pattern_wins_whatever_the_order() {
    let patterns = [
        "/",
        "/{$}",
        "/{x}",
        "/a",
        "/a/",
        "/a/{x}",
        "/a/b",
        "/a/{x}/{$}",
        "/a/{x}/c",
        "/a/{x}/{y...}",
        "/a/b/{$}",
        "/a/b/z",
        "GET /a/b",
        "HEAD /a/b",
        "/%7Bx%7D/%2F",
    ];
    check(
        &patterns,
        &[
            ("GET", "/", "/{$}"),
            ("GET", "/q", "/{x}"),
            ("GET", "/a", "/a"),
            ("GET", "/q/", "/"),
            ("GET", "/q/r", "/"),
            ("GET", "/a/", "/a/"),
            ("GET", "/a/q", "/a/{x}"),
            ("PUT", "/a/b", "/a/b"),
            ("GET", "/a/b", "GET /a/b"),
            ("HEAD", "/a/b", "HEAD /a/b"),
            ("GET", "/a/b/", "/a/b/{$}"),
            ("GET", "/a/b/z", "/a/b/z"),
            ("GET", "/a/q/", "/a/{x}/{$}"),
            ("GET", "/a/b/q/r", "/a/{x}/{y...}"),
            ("GET", "/a/q/c", "/a/{x}/c"),
            ("GET", "/a/q/d", "/a/{x}/{y...}"),
            ("GET", "/%7bx%7D/%2f", "/%7Bx%7D/%2F"),
            ("GET", "/A", "/{x}"),
        ][..],
    );
}

#[test]
fn a_name_that_leads_nowhere_gives_way_to_the_wildcard_beside_it() {
    check(
        &["/a/b/z", "/a/{x}/c", "/{x}/{y}/{z}/d", "/{r...}"],
        &[
            ("GET", "/a/b/z", "/a/b/z"),
            ("GET", "/a/b/c", "/a/{x}/c"),
            ("GET", "/a/b/c/d", "/{x}/{y}/{z}/d"),
            ("GET", "/a/b/z/d", "/{x}/{y}/{z}/d"),
            ("GET", "/a/b/q", "/{r...}"),
        ],
    );
}

#[test]
fn escapes_are_compared_segment_by_segment() {
    check(
        &["/a", "/a/b", "/%2561/{x}", "/%ff", "/c/{$}", "/c/{x}"],
        &[
            ("GET", "/%61", "/a"),
            ("GET", "/a%2Fb", "404"),
            ("GET", "/%61/%62", "/a/b"),
            ("GET", "/%2561/q", "/%2561/{x}"),
            ("GET", "/%FF", "/%ff"),
            // Go takes a segment that is an escaped slash for the end of the path.
            ("GET", "/c/%2F", "/c/{x}"),
            ("GET", "/c/%2e%2e", "/c/{x}"),
        ],
    );
}

#[test]
fn a_path_that_lacks_only_its_last_slash_is_redirected() {
    check(
        &["/tree/", "/rest/{x...}", "/end/{$}", "/leaf", "/both", "/both/", "POST /post/", "/%25/{x}/sub/"],
        &[
            ("GET", "/tree", "-> /tree/ (/tree/)"),
            ("POST", "/tree?a=/../b&c=%2F", "-> /tree/?a=/../b&c=%2F (/tree/)"),
            ("GET", "/tree?", "-> /tree/ (/tree/)"),
            ("GET", "/tree/x", "/tree/"),
            ("GET", "/rest", "-> /rest/ (/rest/{x...})"),
            ("GET", "/rest/a", "/rest/{x...}"),
            ("GET", "/end", "-> /end/ (/end/{$})"),
            ("GET", "/end/a", "404"),
            ("GET", "/leaf", "/leaf"),
            ("GET", "/leaf/", "404"),
            ("GET", "/both", "/both"),
            ("GET", "/post", "405 POST"),
            ("POST", "/post", "-> /post/ (POST /post/)"),
            ("GET", "/%74ree", "-> /%74ree/ (/tree/)"),
            ("GET", "/%25/a%2Fb%25/sub", "-> /%25/a%2Fb%25/sub/ (/%25/{x}/sub/)"),
            ("GET", "http://b.test/tree", "-> /tree/ (/tree/)"),
        ],
    );
    check(&["/", "/tree/"], &[("GET", "/tree", "-> /tree/ (/tree/)"), ("GET", "/leaf", "/")]);
}

#[test]
fn a_path_that_is_not_clean_is_redirected_within_this_host() {
    check(
        &["/a", "/b/{$}", "/evil.test/{$}", "/{x}/{y}"],
        &[
            ("GET", "//a", "-> /a (/a)"),
            ("GET", "/./a?q", "-> /a?q (/a)"),
            ("GET", "/x/../a", "-> /a (/a)"),
            ("GET", "/b/../../..//b", "-> /b/ (/b/{$})"),
            ("GET", "//evil.test/%2f..", "-> /evil.test/%2f.. (/{x}/{y})"),
            ("GET", "//evil.test", "-> /evil.test/ (/evil.test/{$})"),
            ("GET", "//evil.test/", "-> /evil.test/ (/evil.test/{$})"),
            ("GET", "/.//evil.test/..", "-> / ()"),
            ("GET", "//\\evil.test", "-> /%5Cevil.test ()"),
            ("GET", "/%2e%2e/c", "/{x}/{y}"),
            ("GET", "/%2e%2e//c", "-> /%2e%2e/c (/{x}/{y})"),
            ("GET", "//caf%C3%A9/a%20b", "-> /caf%C3%A9/a%20b (/{x}/{y})"),
        ],
    );
}

#[test]
fn what_other_methods_match_is_told_from_what_nothing_matches() {
    check(
        &[
            "GET /g",
            "HEAD /h",
            "POST /p",
            "PUT /{x}",
            "DELETE /d/",
            "brew /p",
            "GET a.test/host",
            "POST /host",
            "/any/x",
        ],
        &[
            ("HEAD", "/g", "GET /g"),
            ("POST", "/g", "405 GET, HEAD, PUT"),
            ("GET", "/h", "405 HEAD, PUT"),
            ("GET", "/p", "405 POST, PUT, brew"),
            ("get", "/g", "405 GET, HEAD, PUT"),
            ("GET", "/d", "405 DELETE, PUT"),
            ("GET", "/d/x", "405 DELETE"),
            ("GET", "/host", "GET a.test/host"),
            ("DELETE", "/host", "405 GET, HEAD, POST, PUT"),
            ("brew", "/any/x", "/any/x"),
            ("GET", "/x/y", "404"),
            ("GET", "/", "404"),
        ],
    );
}

#[test]
fn a_host_is_found_without_its_port_and_in_any_case() {
    // Go compares hosts letter by letter, and an address with its brackets only where no port follows.
    let mux = mux(&["/", "a.test/", "A.test/only", "[::1]/v6", "CONNECT b.test:80/", "GET c.test/"]);
    let cases = [
        ("a.test", "/", "a.test/"),
        ("A.TEST", "/only", "A.test/only"),
        ("a.test:8080", "/x", "a.test/"),
        ("x.a.test", "/only", "/"),
        ("[::1]:80", "/v6", "[::1]/v6"),
        ("[::1]", "/v6", "[::1]/v6"),
        ("b.test", "/", "/"),
        // Go's rule: a port in a pattern is for CONNECT alone.
        ("b.test:80", "/", "/"),
        ("", "/only", "/"),
        ("c.test", "/", "GET c.test/"),
        ("a.test", "http://C.test:1/x", "GET c.test/"),
    ];
    for (host, target, expected) in cases {
        assert_eq!(found(&mux, "GET", host, target), expected, "{host} {target}");
    }
    assert_eq!(found(&mux, "POST", "c.test", "/"), "/", "a host's methods hide no pattern without a host");
}

#[test]
fn a_missing_slash_is_added_on_the_right_host() {
    let mux = mux(&["a.test/tree/", "/other/"]);
    assert_eq!(found(&mux, "GET", "a.test:80", "/tree"), "-> /tree/ (a.test/tree/)");
    assert_eq!(found(&mux, "GET", "b.test", "/tree"), "404");
    assert_eq!(found(&mux, "GET", "a.test", "/other"), "-> /other/ (/other/)");
}

#[test]
fn a_wildcard_for_a_part_of_a_segment_stands_for_something_and_the_longer_text_wins() {
    check(
        &[
            "/{x}",
            "/{x}.gz",
            "/{x}.tar.gz",
            "GET /v{n}/",
            "GET /v1/",
            "POST /jobs/{id}:cancel",
            "/jobs/{id}",
            "PUT /a{x}/b",
            "PUT /{y}c/d",
        ],
        &[
            ("GET", "/f.gz", "/{x}.gz"),
            ("GET", "/f.tar.gz", "/{x}.tar.gz"),
            ("GET", "/.tar.gz", "/{x}.gz"),
            ("GET", "/.gz", "/{x}"),
            ("GET", "/f%2Egz", "/{x}.gz"),
            ("GET", "/v2/x", "GET /v{n}/"),
            ("GET", "/v1/x", "GET /v1/"),
            ("GET", "/v/x", "404"),
            ("GET", "/v2", "/{x}"),
            ("POST", "/jobs/7:cancel", "POST /jobs/{id}:cancel"),
            ("GET", "/jobs/7:cancel", "/jobs/{id}"),
            ("POST", "/jobs/:cancel", "/jobs/{id}"),
            // Both fit the first segment, and the second one decides.
            ("PUT", "/abc/b", "PUT /a{x}/b"),
            ("PUT", "/abc/d", "PUT /{y}c/d"),
        ],
    );
}

#[test]
fn the_narrower_host_wins_and_gives_way_where_it_has_no_route() {
    let mux = mux(&["{sub}.a.test/", "www.a.test/x", "{a}.{b}.test/x/y", "/x/{z}", "CONNECT {sub}.b.test:8080/x"]);
    for (host, path, expected) in [
        ("www.a.test", "/x", "www.a.test/x"),
        ("WWW.A.test.:80", "/y", "{sub}.a.test/"),
        ("q.a.test", "/x/y", "{sub}.a.test/"),
        ("q.b.test", "/x/y", "{a}.{b}.test/x/y"),
        ("q.b.test", "/x/z", "/x/{z}"),
        ("a.test", "/x/y", "/x/{z}"),
        (".a.test", "/x/y", "/x/{z}"),
    ] {
        assert_eq!(found(&mux, "GET", host, path), expected, "{host} {path}");
    }
    let mut asked = request("GET", "Q.B.test", "/x/y");
    assert!(matches!(mux.inner.dispatch(&mut asked), Dispatch::Route(_)));
    assert_eq!((asked.path_value("a"), asked.path_value("b")), ("q", "b"));
}

#[test]
fn connect_is_matched_as_sent() {
    let mux = mux(&["/", "CONNECT /tree/", "CONNECT a.test:443/x", "a.test/x", "/a/../b", "CONNECT //{x}"]);
    let cases = [
        ("a.test", "/a/../b", "/a/../b"),
        ("a.test:443", "/x", "CONNECT a.test:443/x"),
        ("a.test", "/x", "a.test/x"),
        ("a.test", "/tree/../y", "CONNECT /tree/"),
        ("a.test", "//y", "CONNECT //{x}"),
        ("a.test", "/y//", "/"),
        ("b.test", "/tree", "-> /tree/ (CONNECT /tree/)"),
        // The usual form has no path. That a slash would help is Go's rule for 405.
        ("", "a.test:443", "404"),
    ];
    for (host, target, expected) in cases {
        assert_eq!(found(&mux, "CONNECT", host, target), expected, "{host} {target}");
    }
}

#[test]
fn connect_is_never_redirected_to_another_host() {
    // Go answers `//evil.test/`.
    assert_eq!(found(&mux(&["//evil.test/"]), "CONNECT", "", "//evil.test"), "-> /evil.test/ (//evil.test/)");
}

#[test]
fn an_asterisk_is_no_resource_of_a_mux() {
    let mux = mux(&["/", "OPTIONS /"]);
    assert_eq!(own(&mux, &request("OPTIONS", "a.test", "*")).kind, OwnResponseKind::Asterisk);
    assert_eq!(found(&mux, "OPTIONS", "a.test", "/*"), "OPTIONS /");
}

#[test]
fn the_request_gets_the_pattern_and_its_values() {
    let mux = mux(&["GET /a/{x}/b/{y...}", "/tree/", "/plain"]);
    let mut got = request("HEAD", "a.test", "/a/1%2F2/b/c/d%20e");
    got.set_path_value("y", "outer");
    got.set_path_value("z", "outer");
    assert!(matches!(mux.inner.dispatch(&mut got), Dispatch::Route(_)));
    assert_eq!(got.pattern.as_deref(), Some("GET /a/{x}/b/{y...}"));
    assert_eq!(["x", "y", "z", "q"].map(|name| got.path_value(name)), ["1/2", "c/d e", "outer", ""]);

    got.uri = Uri::from_static("/nowhere");
    assert!(matches!(mux.inner.dispatch(&mut got), Dispatch::Own(own) if own.kind == OwnResponseKind::NotFound));
    assert_eq!(got.pattern, None, "an earlier match is forgotten");

    got.uri = Uri::from_static("/tree");
    assert!(matches!(mux.inner.dispatch(&mut got), Dispatch::Own(own) if own.kind != OwnResponseKind::NotFound));
    assert_eq!(got.pattern.as_deref(), Some("/tree/"));
}

#[test]
fn a_lookup_leaves_the_request_alone() {
    let mux = mux(&["/{x}"]);
    let asked = request("GET", "a.test", "/1");
    assert_eq!(mux.lookup(&asked), Lookup::Matched { pattern: "/{x}".into() });
    assert_eq!((asked.path_value("x"), &asked.pattern), ("", &None));
}

#[test]
fn handlers_of_ones_own_answer_404_and_405() {
    let mux = mux(&["POST /a"]);
    mux.not_found(silent);
    let not_found = |path: &str| own(&mux, &request("GET", "", path)).handler(|scope| &scope.not_found).is_some();
    let not_allowed = |path| own(&mux, &request("GET", "", path)).handler(|scope| &scope.method_not_allowed).is_some();
    assert_eq!((not_found("/b"), not_allowed("/a")), (true, false));
    mux.method_not_allowed(silent);
    assert!(not_allowed("/a"));
}

/// What a mux responds to by itself.
#[track_caller]
fn own<'a>(mux: &'a ServeMux, request: &Request) -> OwnResponse<'a> {
    match mux.inner.decide(request) {
        Dispatch::Own(own) => own,
        Dispatch::Route(route) => panic!("a route answers: {}", route.pattern.text),
    }
}

#[test]
fn a_refused_pattern_leaves_no_trace() {
    let mux = mux(&["/a/{x}"]);
    assert!(mux.try_handle("/{y}/b", silent).is_err());
    assert!(mux.try_handle("/a/*", silent).is_err());
    assert_eq!(found(&mux, "GET", "", "/q/b"), "404");
    assert_eq!(format!("{mux:?}"), r#"ServeMux { inner: ["/a/{x}"] }"#);
    mux.handle("/q/b", silent);
    assert_eq!(found(&mux, "GET", "", "/q/b"), "/q/b");
}

#[test]
fn routes_may_come_while_others_are_looked_up() {
    let mux = mux(&["/{x}"]);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let mux = &mux;
            scope.spawn(move || {
                for n in 0..200 {
                    let path = format!("/t{thread}/{n}");
                    assert_eq!(found(mux, "GET", "", &path), "404");
                    mux.handle(&path, silent);
                    assert_eq!(found(mux, "GET", "", &path), path);
                    assert_eq!(found(mux, "GET", "", "/other"), "/{x}");
                }
            });
        }
    });
}

#[test]
fn ten_thousand_routes_of_every_kind_are_found() {
    let mux = ServeMux::new();
    let texts: Vec<_> = (0..2_500)
        .flat_map(|n| {
            [
                format!("/item{n}/"),
                format!("GET /api/v1/kind{n}/{{id}}"),
                format!("h{n}.test/"),
                format!("/{{x}}/leaf{n}"),
            ]
        })
        .collect();
    // /item7/ and /{x}/leaf7 overlap: the subtrees are of another method.
    let texts = texts.iter().map(|text| if text.starts_with("/item") { format!("PUT {text}") } else { text.clone() });
    let texts: Vec<_> = texts.map(|text| text.replace("/{x}/leaf", "POST /{x}/leaf")).collect();
    texts.iter().for_each(|text| mux.handle(text, silent));
    for n in [0, 7, 2_499] {
        assert_eq!(found(&mux, "PUT", "", &format!("/item{n}/x/y")), format!("PUT /item{n}/"));
        assert_eq!(found(&mux, "GET", "", &format!("/api/v1/kind{n}/3")), format!("GET /api/v1/kind{n}/{{id}}"));
        assert_eq!(found(&mux, "GET", &format!("h{n}.test"), "/q"), format!("h{n}.test/"));
        assert_eq!(found(&mux, "POST", "", &format!("/q/leaf{n}")), format!("POST /{{x}}/leaf{n}"));
    }
}

#[test]
fn a_hostile_path_meets_no_node_twice() {
    // At each of 60 levels both the name and the wildcard fit, and only the last segment says no:
    // trying all ways would take 2^60 steps.
    let mux = ServeMux::new();
    for wild in 0..60 {
        let path: String = (0..60).map(|level| if level == wild { "/{x}" } else { "/a" }).collect();
        mux.handle(&format!("{path}/end{wild}"), silent);
    }
    let all_wild: String = (0..255).map(|level| format!("/{{x{level}}}")).collect();
    mux.handle(&format!("{all_wild}/end"), silent);
    assert_eq!(
        found(&mux, "GET", "", &format!("{}/end59", "/a".repeat(60))),
        format!("{}/{{x}}/end59", "/a".repeat(59))
    );
    for segments in [61, 256, 1_000] {
        assert_eq!(found(&mux, "GET", "", &"/a".repeat(segments)), "404");
        assert_eq!(found(&mux, "GET", "", &"/%61".repeat(segments)), "404");
    }
    assert_eq!(found(&mux, "GET", "", &format!("{}/end", "/a".repeat(255))), format!("{all_wild}/end"));
}

/// Numbers that look random and are the same each time (Marsaglia's xorshift).
struct PatternDice(u64);

impl PatternDice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn pick(&mut self, of: &[&'static str]) -> &'static str {
        of[self.below(of.len() as u64) as usize]
    }

    fn pattern(&mut self) -> String {
        let method = self.pick(&["", "", "", "GET ", "GET ", "HEAD ", "POST "]);
        let host = self.pick(&["", "", "", "a.test", "b.test", "{h}.test", "{h}.a.test", "b.{h}.test"]);
        let mut text = format!("{method}{host}");
        for (name, partial) in
            [("/{x}", "/a{x}"), ("/{y}", "/{y}b"), ("/{z}", "/a{z}b")].into_iter().take(self.below(4) as usize)
        {
            text.push_str(match self.below(4) {
                0 => name,
                1 => partial,
                _ => self.pick(&["/a", "/b", "/%61", "/c%2Fd"]),
            });
        }
        text.push_str(self.pick(&["/", "/{$}", "/{w...}", "/{w}", "/{w}b", "/a{w}", "/a", "/b"]));
        text
    }

    fn path(&mut self) -> String {
        let mut path: String = (0..self.below(5))
            .map(|_| self.pick(&["/a", "/a", "/b", "/b", "/c", "/%62", "/c%2fd", "/%2F", "/ab", "/a%62b", "/axb"]))
            .collect();
        if path.is_empty() || self.below(3) == 0 {
            path.push('/');
        }
        path
    }
}

/// The rule of one host, written down apart from the masks.
fn takes_host(pattern: &Pattern, host: &str) -> bool {
    let (own, sent): (Vec<_>, Vec<_>) = (pattern.host.mask.split('.').collect(), host.split('.').collect());
    let takes = |(own, sent): (&&str, &&str)| own == sent || (*own == "*" && !sent.is_empty());
    own == [""] || (own.len() == sent.len() && own.iter().zip(&sent).all(takes))
}

/// The same answers by looking at every pattern.
struct ReferenceMux(Vec<Pattern>);

impl ReferenceMux {
    fn best(&self, host: &str, method: &str, path: &str) -> Option<&Pattern> {
        let serves = |pattern: &&Pattern| {
            let named = pattern.method.as_deref();
            named.is_none_or(|named| named == method || (named == "GET" && method == "HEAD"))
                && matches_path(pattern, path)
        };
        let matching: Vec<_> = self.0.iter().filter(serves).filter(|pattern| takes_host(pattern, host)).collect();
        let wins = |one: &Pattern, other: &Pattern| {
            std::ptr::eq(one, other)
                || match hosts(&one.host.mask, &other.host.mask) {
                    Relation::Equal => methods_and_paths(one, other) == Relation::Narrower,
                    relation => relation == Relation::Narrower,
                }
        };
        let best: Vec<_> = matching.iter().filter(|one| matching.iter().all(|other| wins(one, other))).collect();
        assert!(matching.is_empty() || best.len() == 1, "one of those that match beats all others");
        best.first().map(|best| **best)
    }

    fn found(&self, host: &str, method: &str, path: &str) -> String {
        let is_exact = |pattern: &&Pattern, path: &str| {
            !matches!(pattern.segments.last(), Some(Segment::Rest(_)))
                || (path.ends_with('/') && path.matches('/').count() == pattern.segments.len())
        };
        let best = self.best(host, method, path);
        let slashed = format!("{path}/");
        if !path.ends_with('/') && !best.as_ref().is_some_and(|best| is_exact(best, path)) {
            if let Some(better) = self.best(host, method, &slashed).filter(|better| is_exact(better, &slashed)) {
                return format!("-> {slashed} ({})", better.text);
            }
        }
        if let Some(best) = best {
            return best.text.to_string();
        }
        let also = if path.ends_with('/') { path } else { &slashed };
        let methods = ["GET", "HEAD", "POST"].into_iter();
        let allowed: Vec<_> =
            methods.filter(|method| [path, also].iter().any(|path| self.best(host, method, path).is_some())).collect();
        if allowed.is_empty() { "404".into() } else { format!("405 {}", allowed.join(", ")) }
    }
}

#[test]
fn random_routes_and_paths_are_found_as_by_looking_at_every_pattern() {
    let mut dice = PatternDice(0x9e37_79b9_7f4a_7c15);
    let mut kinds = HashMap::new();
    for _ in 0..400 {
        let (mux, mut reference) = (ServeMux::new(), ReferenceMux(Vec::new()));
        for _ in 0..dice.below(24) {
            let new = pattern(&dice.pattern());
            let is_refused = reference.0.iter().any(|old| super::conflict::conflict(&new, old).is_some());
            let registered = mux.try_handle(&new.text, silent);
            assert_eq!(registered.is_err(), is_refused, "{} in {mux:?}: {registered:?}", new.text);
            if !is_refused {
                reference.0.push(new);
            }
        }
        for _ in 0..50 {
            let host = dice.pick(&["a.test", "b.test", "c.test", "b.a.test", "b.c.test", "c.a.test"]);
            let method = dice.pick(&["GET", "HEAD", "POST", "PUT"]);
            let path = dice.path();
            let ours = found(&mux, method, host, &path);
            assert_eq!(ours, reference.found(host, method, &path), "{method} {host} {path} in {mux:?}");
            *kinds.entry(ours.split(' ').next().unwrap_or_default().to_owned()).or_insert(0) += 1;
        }
    }
    for kind in ["404", "405", "->", "GET"] {
        assert!(kinds.get(kind).is_some_and(|&n| n > 50), "there are enough answers of each kind: {kinds:?}");
    }
}
