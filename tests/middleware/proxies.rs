//! `TrustedProxies`, `HttpsRedirect` and what else depends on where a request comes from.

use nethttp::middleware::{HttpsRedirect, SecurityHeaders, TrustedProxies};
use nethttp::{Method, Request, ResponseWriter, Result, ServeMux};

use crate::site::{Mode, Site, in_all_modes, whole};
use crate::{Fields, answer, ask, field, from_test_peer, get};

/// Answers what a handler knows of the client, and what stands in the fields that proxies write.
async fn show(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let client = r.client_ip().map_or("?".into(), |ip| ip.to_string());
    let written: Vec<String> = ["Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "CF-Connecting-IP"]
        .iter()
        .flat_map(|name| r.header.values(name).map(move |value| format!("{name}={value}")))
        .collect();
    w.write(format!("{client} {}://{} [{}]", r.scheme(), r.host, written.join(" "))).await
}

fn site(mode: Mode, proxies: TrustedProxies) -> Site {
    let mux = ServeMux::new();
    mux.handle("/", show);
    mux.wrap(from_test_peer);
    mux.wrap(proxies);
    Site::start(mode, mux)
}

const PROXY: (&str, &str) = ("X-Test-Peer", "10.0.0.1");
const STRANGER: (&str, &str) = ("X-Test-Peer", "1.1.1.1");
const FORGED: Fields<'_> = &[
    ("X-Forwarded-For", "6.6.6.6"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "evil.test"),
    ("Forwarded", "for=6.6.6.6;host=evil.test"),
    ("X-Real-IP", "6.6.6.6"),
    ("CF-Connecting-IP", "6.6.6.6"),
];

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_no_proxy_is_believed_nothing_and_nothing_forged_is_left() {
    in_all_modes(async |mode| {
        let own = if mode.is_secure() { "https" } else { "http" };
        let site = site(mode, TrustedProxies::new(["10.0.0.0/8"]));
        let (_, text) = whole(Ok(get(&site, "/", &[FORGED, &[STRANGER]].concat()).await)).await;
        assert_eq!(text, format!("1.1.1.1 {own}://a.test []"));
        // Without an address neither.
        let (_, text) = whole(Ok(get(&site, "/", FORGED).await)).await;
        assert_eq!(text, format!("? {own}://a.test []"));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_proxy_is_believed_what_it_has_written_itself() {
    in_all_modes(async |mode| {
        let site = site(mode, TrustedProxies::new(["10.0.0.0/8"]));
        let fields = [
            PROXY,
            ("X-Forwarded-For", "6.6.6.6, 2.2.2.2"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "www.test"),
            ("Forwarded", "for=6.6.6.6"),
            ("X-Real-IP", "6.6.6.6"),
        ];
        let (_, text) = whole(Ok(get(&site, "/", &fields).await)).await;
        assert_eq!(text, "2.2.2.2 https://www.test [X-Forwarded-For=2.2.2.2 X-Forwarded-Host=www.test]");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_unix_socket_is_believed_where_that_was_said() {
    in_all_modes(async |mode| {
        let site = site(mode, TrustedProxies::new([""; 0]).unix_sockets().forwarded());
        let fields =
            [("Forwarded", "for=\"[2001:db8::1]:1\";proto=http;host=\"w.test:81\""), ("X-Forwarded-For", "6.6.6.6")];
        let (_, text) = whole(Ok(get(&site, "/", &fields).await)).await;
        assert_eq!(text, "2001:db8::1 http://w.test:81 [Forwarded=for=\"[2001:db8::1]\"]");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_mounted_mux_leads_to_where_it_is_mounted() {
    in_all_modes(async |mode| {
        let shop = ServeMux::new();
        shop.handle("/cart", answer);
        shop.wrap(HttpsRedirect::to_any_host());
        let mux = ServeMux::new();
        mux.mount("/shop", &shop);
        let mut site = Site::start(mode, mux);
        site.client.max_redirects = 0;
        if !mode.is_secure() {
            let response = get(&site, "/shop/cart?x=1", &[]).await;
            assert!(field(&response.header, "Location").ends_with("/shop/cart?x=1"));
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_came_without_tls_is_led_to_its_own_host_and_no_other() {
    in_all_modes(async |mode| {
        let mux = ServeMux::new();
        mux.handle("/", answer);
        mux.wrap(from_test_peer);
        mux.wrap(TrustedProxies::new(["10.0.0.0/8"]));
        mux.wrap(HttpsRedirect::to(["a.test"]).except(|r| r.uri.path() == "/health"));
        let mut site = Site::start(mode, mux);
        site.client.max_redirects = 0;
        for (method, path) in [(Method::GET, "/x?y=1"), (Method::POST, "/y/")] {
            let response = ask(&site, method, path, &[]).await;
            let expected = if mode.is_secure() { (200, String::new()) } else { (308, format!("https://a.test{path}")) };
            assert_eq!((response.status.as_u16(), field(&response.header, "Location")), expected);
        }
        assert_eq!(get(&site, "/health", &[]).await.status.as_u16(), 200);
        let over_tls = [PROXY, ("X-Forwarded-For", "2.2.2.2"), ("X-Forwarded-Proto", "https")];
        assert_eq!(get(&site, "/", &over_tls).await.status.as_u16(), 200);
        if !mode.is_secure() {
            let response = get(&site, "//evil.test/", &[]).await;
            assert_eq!(field(&response.header, "Location"), "https://a.test//evil.test/");
            let foreign = [PROXY, ("X-Forwarded-For", "2.2.2.2"), ("X-Forwarded-Host", "evil.test")];
            let response = get(&site, "/", &foreign).await;
            assert_eq!((response.status.as_u16(), response.header.contains("Location")), (421, false));
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn careful_fields_are_in_every_response_and_hsts_over_tls_alone() {
    in_all_modes(async |mode| {
        let own = async |w: &mut ResponseWriter, _: &mut Request| {
            w.header().set("X-Frame-Options", "SAMEORIGIN");
            w.write("own").await
        };
        let mux = ServeMux::new();
        mux.handle("GET /own", own);
        mux.handle("GET /", answer);
        mux.wrap(SecurityHeaders::new().content_security_policy("default-src 'self'").without("referrer-policy"));
        let site = Site::start(mode, mux);
        for (method, path, frames) in [
            (Method::GET, "/", "DENY"),
            (Method::GET, "/error", "DENY"),
            (Method::GET, "/panic", "DENY"),
            (Method::POST, "/", "DENY"),
            (Method::GET, "/own", "SAMEORIGIN"),
        ] {
            let response = ask(&site, method, path, &[]).await;
            for (name, value) in [
                ("X-Frame-Options", frames),
                ("X-Content-Type-Options", "nosniff"),
                ("Content-Security-Policy", "default-src 'self'"),
                ("Referrer-Policy", ""),
                ("Strict-Transport-Security", if mode.is_secure() { "max-age=31536000" } else { "" }),
            ] {
                assert_eq!(field(&response.header, name), value, "{path} {name}");
            }
        }
    })
    .await;
}
