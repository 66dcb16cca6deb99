//! `CrossOriginProtection`: requests that change something come from the own origin.

use nethttp::middleware::CrossOriginProtection;
use nethttp::{Error, Method, Request, ResponseWriter, ServeMux, StatusCode, Uri, error};

use crate::site::{Site, in_all_modes};
use crate::{Fields, answer, ask};

fn request(method: Method, path: &'static str, host: &str, fields: Fields<'_>) -> Request {
    let mut request = Request::new(method, Uri::from_static(path), ());
    request.host = host.into();
    request.header = fields.iter().copied().collect();
    request
}

fn is_allowed(protection: &CrossOriginProtection, request: &Request) -> bool {
    match protection.check(request) {
        Ok(()) => true,
        Err(refused) => {
            assert_eq!(refused.status(), Some(StatusCode::FORBIDDEN));
            false
        }
    }
}

const SITE: &str = "Sec-Fetch-Site";
const ORIGIN: &str = "Origin";

#[test]
fn the_site_decides_then_the_origin_and_without_both_it_is_no_browser() {
    let protection = CrossOriginProtection::new();
    let cases: [(Fields<'_>, bool); 20] = [
        (&[], true),
        (&[(SITE, "same-origin")], true),
        (&[(SITE, "none")], true),
        (&[(SITE, "same-site")], false),
        (&[(SITE, "cross-site")], false),
        (&[(SITE, "something-new")], false),
        (&[(SITE, "Same-Origin")], false),
        (&[(SITE, "same-origin"), (SITE, "cross-site")], false),
        // The site is what the browser has found out; the origin is not looked at any more.
        (&[(SITE, "same-origin"), (ORIGIN, "https://evil.test")], true),
        (&[(SITE, "cross-site"), (ORIGIN, "https://a.test")], false),
        (&[(SITE, ""), (ORIGIN, "https://a.test")], true),
        (&[(ORIGIN, "https://a.test")], true),
        (&[(ORIGIN, "http://a.test")], true),
        (&[(ORIGIN, "https://a.test:8443")], false),
        (&[(ORIGIN, "https://evil.test")], false),
        (&[(ORIGIN, "https://a.test.evil.test")], false),
        (&[(ORIGIN, "https://evil.test/a.test")], false),
        (&[(ORIGIN, "null")], false),
        (&[(ORIGIN, "a.test")], false),
        (&[(ORIGIN, "")], true),
    ];
    for (fields, allowed) in cases {
        let request = request(Method::POST, "/", "a.test", fields);
        assert_eq!(is_allowed(&protection, &request), allowed, "{fields:?}");
    }
}

#[test]
fn methods_that_change_nothing_are_let_through_and_all_others_are_not() {
    let protection = CrossOriginProtection::new();
    for (method, allowed) in [
        ("GET", true),
        ("HEAD", true),
        ("OPTIONS", true),
        ("POST", false),
        ("PUT", false),
        ("PATCH", false),
        ("DELETE", false),
        ("get", false),
        ("TRACE", false),
        ("QUERY", false),
    ] {
        let request = request(method.parse().unwrap(), "/", "a.test", &[(SITE, "cross-site")]);
        assert_eq!(is_allowed(&protection, &request), allowed, "{method}");
    }
}

#[test]
fn the_origin_null_is_not_the_host_of_a_request_without_one() {
    let protection = CrossOriginProtection::new();
    assert!(!is_allowed(&protection, &request(Method::POST, "/", "", &[(ORIGIN, "null")])));
    assert!(!is_allowed(&protection, &request(Method::POST, "/", "", &[(ORIGIN, "https://")])));
}

#[test]
fn a_trusted_origin_is_compared_whole() {
    let protection = CrossOriginProtection::new().trusted_origin("https://b.test").trusted_origin("http://c.test:8080");
    for (origin, allowed) in [
        ("https://b.test", true),
        ("http://c.test:8080", true),
        ("http://b.test", false),
        ("https://b.test:8443", false),
        ("https://x.b.test", false),
        ("null", false),
    ] {
        for fields in [&[(ORIGIN, origin), (SITE, "cross-site")][..], &[(ORIGIN, origin)]] {
            assert_eq!(is_allowed(&protection, &request(Method::POST, "/", "a.test", fields)), allowed, "{fields:?}");
        }
    }
    for slip in ["https://b.test/", "b.test", "https://", "https://*.b.test", "null"] {
        assert!(std::panic::catch_unwind(|| CrossOriginProtection::new().trusted_origin(slip)).is_err(), "{slip}");
    }
}

#[test]
fn a_bypass_is_a_path_that_matches_as_it_is() {
    let protection = CrossOriginProtection::new()
        .insecure_bypass_pattern("POST /hooks/")
        .insecure_bypass_pattern("/any/{id}")
        .insecure_bypass_pattern("POST b.test/only");
    for (method, path, host, allowed) in [
        ("POST", "/hooks/x", "a.test", true),
        ("PUT", "/hooks/x", "a.test", false),
        // The mux would redirect these, and the handler within may take them for something else.
        ("POST", "/hooks", "a.test", false),
        ("POST", "/hooks/../transfer", "a.test", false),
        ("POST", "//hooks/x", "a.test", false),
        ("DELETE", "/any/1", "a.test", true),
        ("DELETE", "/any/1/2", "a.test", false),
        ("POST", "/only", "b.test", true),
        ("POST", "/only", "a.test", false),
    ] {
        let request = request(method.parse().unwrap(), path, host, &[(SITE, "cross-site")]);
        assert_eq!(is_allowed(&protection, &request), allowed, "{method} {host}{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_reaches_no_handler() {
    in_all_modes(async |mode| {
        let mux = ServeMux::new();
        mux.handle("/", answer);
        mux.wrap(CrossOriginProtection::new());
        let site = Site::start(mode, mux);
        assert_eq!(ask(&site, Method::POST, "/panic", &[(SITE, "cross-site")]).await.status, StatusCode::FORBIDDEN);
        assert_eq!(ask(&site, Method::POST, "/", &[(ORIGIN, "https://a.test")]).await.status, StatusCode::OK);
        assert_eq!(ask(&site, Method::POST, "/", &[]).await.status, StatusCode::OK);

        let mux = ServeMux::new();
        mux.handle("/", answer);
        let deny = async |w: &mut ResponseWriter, _: &mut Request| error(w, "go away", StatusCode::IM_A_TEAPOT).await;
        mux.wrap(CrossOriginProtection::new().deny_handler(deny));
        let mut response = ask(&Site::start(mode, mux), Method::POST, "/panic", &[(SITE, "cross-site")]).await;
        assert_eq!((response.status.as_u16(), response.text().await.unwrap().as_str()), (418, "go away\n"));
    })
    .await;
}

#[test]
fn an_error_says_what_was_seen() {
    let check = |fields: Fields<'_>| -> Error {
        CrossOriginProtection::new().check(&request(Method::POST, "/", "a.test", fields)).unwrap_err()
    };
    assert!(check(&[(SITE, "cross-site")]).to_string().contains("Sec-Fetch-Site"));
    assert!(check(&[(ORIGIN, "https://evil.test")]).to_string().contains("Origin"));
}
