//! Several of them around one another, as a program has them.

use std::time::Duration;

use nethttp::middleware::{
    Authentication, BodyLimit, ConcurrencyLimit, Cors, CrossOriginProtection, RateLimit, RequestId, SecurityHeaders,
    TrustedProxies,
};
use nethttp::{Method, ServeMux};

use crate::site::{Site, in_all_modes};
use crate::{answer, ask, field, from_test_peer, get};

fn mux() -> ServeMux {
    let mux = ServeMux::new();
    mux.handle("GET /", answer);
    mux.handle("PUT /notes/{id}", answer);
    mux.wrap(from_test_peer);
    mux.wrap(TrustedProxies::new(["10.0.0.0/8"]));
    mux.wrap(RequestId::new());
    mux.wrap(SecurityHeaders::new());
    mux.wrap(Cors::new().allow_origin("https://app.test").allow_methods([Method::PUT]).allow_credentials());
    mux.wrap(CrossOriginProtection::new().trusted_origin("https://app.test"));
    mux.wrap(RateLimit::new(3, Duration::from_secs(60)));
    mux.wrap(ConcurrencyLimit::new(10));
    mux.wrap(Authentication::new("notes").basic_users([("ada", "sesame")]));
    mux.wrap(BodyLimit::new(1000));
    mux
}

const ADA: (&str, &str) = ("Authorization", "Basic YWRhOnNlc2FtZQ==");

#[tokio::test(start_paused = true)]
async fn each_refusal_of_a_chain_carries_what_lies_around_it() {
    in_all_modes(async |mode| {
        let site = Site::start(mode, mux());
        let (origin, peer) = (("Origin", "https://app.test"), ("X-Test-Peer", "10.0.0.1"));
        let client = |address| ("X-Forwarded-For", address);
        let site_of = |site| ("Sec-Fetch-Site", site);
        let requests = [
            (Method::GET, vec![origin, peer, client("1.1.1.1"), ADA], 200),
            (Method::PUT, vec![origin, peer, client("1.1.1.1"), ADA, site_of("cross-site")], 200),
            (Method::GET, vec![origin, peer, client("1.1.1.1")], 401),
            (Method::GET, vec![origin, peer, client("1.1.1.1"), ADA], 429),
            (Method::GET, vec![origin, peer, client("1.1.1.2"), ADA], 200),
            (Method::POST, vec![origin, peer, client("1.1.1.2"), ADA], 405),
        ];
        for (method, fields, status) in requests {
            let path = if method == Method::PUT { "/notes/1" } else { "/" };
            let response = ask(&site, method, path, &fields).await;
            assert_eq!(response.status.as_u16(), status);
            assert_eq!(field(&response.header, "Access-Control-Allow-Origin"), "https://app.test", "{status}");
            assert_eq!(field(&response.header, "X-Frame-Options"), "DENY", "{status}");
            assert_eq!(field(&response.header, "X-Request-Id").len(), 36, "{status}");
            assert_eq!(response.header.contains("WWW-Authenticate"), status == 401);
            assert_eq!(response.header.contains("Retry-After"), status == 429);
            assert!(response.header.contains("RateLimit"), "{status}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_forged_request_of_another_site_stops_before_the_password_is_looked_at() {
    in_all_modes(async |mode| {
        let site = Site::start(mode, mux());
        let forged = [("Origin", "https://evil.test"), ("Sec-Fetch-Site", "cross-site"), ADA];
        let response = ask(&site, Method::PUT, "/notes/1", &forged).await;
        assert_eq!(response.status.as_u16(), 403);
        assert!(!response.header.contains("Access-Control-Allow-Origin"));
        assert!(!response.header.contains("WWW-Authenticate"));
        assert_eq!(get(&site, "/panic", &[ADA]).await.status.as_u16(), 500);
        assert_eq!(get(&site, "/", &[ADA]).await.status.as_u16(), 200, "a place is free again after the panic");
    })
    .await;
}
