//! Which fields reach the other side, and in which form.

use nethttp::reverse_proxy::ReverseProxy;

use crate::fake::{OK, fake};
use crate::kit::{From, plain, raw, raw_with};
use crate::wire::{Host, kept};

const OK_SENT: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nDate: -\r\n\r\nok";

/// The field lines that an upstream gets for these of a client, without those of forwarding.
async fn sent_on(fields: &str) -> String {
    let (host, mut upstream) = raw_with(ReverseProxy::without_forwarding);
    let mut client = host.connect();
    client.send(format!("GET / HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n")).await;
    let head = upstream.accept().await.head().await;
    head.strip_prefix("GET / HTTP/1.1\r\nHost: u.test\r\n").unwrap().strip_suffix("\r\n").unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn fields_arrive_in_their_order_and_spelling_with_their_duplicates_and_nothing_is_invented() {
    let fields = "x-B: 2\r\nACCEPT: */*\r\nX-b: 3\r\ncookie: a=1\r\nCookie: b=2\r\nX-Empty: \r\n";
    assert_eq!(sent_on(fields).await, fields);
    assert_eq!(sent_on("").await, "");
}

#[tokio::test(start_paused = true)]
async fn what_is_of_the_connection_ends_here_in_all_the_forms_of_connection() {
    for connection in [
        "Connection: keep-alive, X-Hop\r\n",
        "Connection: \r\nConnection: X-Hop\r\n",
        "connection: x-hop\r\nConnection: keep-alive\r\n",
        "Connection: ,,X-HOP\t,\r\n",
    ] {
        let fields = format!(
            "{connection}Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic x\r\n\
             X-Hop: 1\r\nx-hop: 2\r\nTE: gzip\r\nUpgrade: foo\r\nX-End: 3\r\n"
        );
        assert_eq!(sent_on(&fields).await, "X-End: 3\r\n", "{connection}");
    }
}

#[tokio::test(start_paused = true)]
async fn connection_takes_away_neither_credentials_nor_what_the_proxy_writes() {
    let (transport, mut upstream) = fake();
    let proxy = ReverseProxy::to("http://u.test").unwrap().transport(plain(&transport));
    let host = Host::new(From("192.0.2.1", proxy));
    let request = "POST / HTTP/1.1\r\nHost: a.test\r\nAuthorization: Bearer x\r\nCookie: a=1\r\n\
                   Connection: Authorization, Cookie, Host, Content-Length, X-Forwarded-For, Forwarded, X-Forwarded-Proto\r\n\
                   Content-Length: 2\r\n\r\nok";
    host.connect().send(request).await;
    let received = upstream.accept().await.request().await;
    let expected = "POST / HTTP/1.1\r\nHost: u.test\r\nAuthorization: Bearer x\r\nCookie: a=1\r\n\
                    X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Host: a.test\r\nX-Forwarded-Proto: http\r\n\
                    Forwarded: for=192.0.2.1;host=a.test;proto=http\r\nContent-Length: 2\r\n\r\n";
    assert_eq!((received.head.as_str(), received.text().as_str()), (expected, "ok"));
}

#[tokio::test(start_paused = true)]
async fn trailers_stay_wanted() {
    assert_eq!(sent_on("TE: gzip;q=0.5, Trailers\r\nConnection: TE\r\n").await, "TE: trailers\r\n");
}

#[tokio::test(start_paused = true)]
async fn a_spoofed_forwarding_field_is_dropped_and_one_of_a_trusted_peer_is_extended() {
    let spoofed = "X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX-Forwarded-Proto: https\r\n\
                   X-Forwarded-For: 7.7.7.7\r\nForwarded: for=7.7.7.7\r\n";
    for (trusted, expected) in [
        (
            "10.0.0.0/8",
            "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Host: b.test:81\r\nX-Forwarded-Proto: http\r\n\
             Forwarded: for=192.0.2.1;host=\"b.test:81\";proto=http\r\n",
        ),
        (
            "192.0.2.0/24",
            "X-Forwarded-For: 6.6.6.6, 7.7.7.7, 192.0.2.1\r\n\
             Forwarded: for=6.6.6.6, for=7.7.7.7, for=192.0.2.1;host=\"b.test:81\";proto=http\r\n\
             X-Real-IP: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: b.test:81\r\n",
        ),
    ] {
        let (transport, mut upstream) = fake();
        let proxy = ReverseProxy::to("http://u.test").unwrap().transport(plain(&transport)).trusted([trusted]);
        let host = Host::new(From("192.0.2.1", proxy));
        host.connect().send(format!("GET / HTTP/1.1\r\nHost: b.test:81\r\n{spoofed}\r\n")).await;
        let head = upstream.accept().await.head().await;
        assert_eq!(head, format!("GET / HTTP/1.1\r\nHost: u.test\r\n{expected}\r\n"), "{trusted}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_host_is_the_upstreams_unless_the_clients_is_preserved() {
    for (preserve, expected) in [(false, "u.test"), (true, "a.test:81")] {
        let (host, mut upstream) = raw_with(|proxy| if preserve { proxy.preserve_host() } else { proxy });
        host.connect().send("GET / HTTP/1.1\r\nHost: a.test:81\r\n\r\n").await;
        let request = upstream.accept().await.request().await;
        assert_eq!(request.field("Host"), Some(expected));
        assert_eq!(request.field("X-Forwarded-Host"), Some("a.test:81"));
    }
}

#[tokio::test(start_paused = true)]
async fn there_is_one_authority() {
    let (host, mut upstream) = raw_with(ReverseProxy::preserve_host);
    let mut client = host.connect();
    client.send("GET http://b.test/x HTTP/1.1\r\nHost: a.test\r\n\r\n").await;
    let mut conn = upstream.accept().await;
    let request = conn.request().await;
    assert_eq!((request.line(), request.field("Host")), ("GET /x HTTP/1.1", Some("b.test")));
    conn.send(OK).await;
    assert_eq!(client.hear().await, kept(OK_SENT));
    for hosts in ["Host: a.test\r\nHost: a.test\r\n", "Host: a.test\r\nHost: b.test\r\n", ""] {
        let answer = host.connect().talk(format!("GET / HTTP/1.1\r\n{hosts}\r\n")).await;
        assert!(answer.text.starts_with("HTTP/1.1 400 ") && answer.closed, "{hosts}: {answer:?}");
    }
    assert!(upstream.try_accept().is_none());
}

#[tokio::test(start_paused = true)]
async fn fields_of_responses_go_back_in_their_order_without_those_of_the_connection() {
    let (host, mut upstream) = raw();
    let mut client = host.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut conn = upstream.accept().await;
    conn.serve(
        "HTTP/1.1 404 Gone Fishing\r\nx-b: 2\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nSet-Cookie: a=1\r\n\
         Keep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nset-cookie: b=2\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\
         Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\nok",
    )
    .await;
    let expected = "HTTP/1.1 404 Not Found\r\nx-b: 2\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nDate: -\r\n\
                    Content-Length: 2\r\n\r\nok";
    assert_eq!(client.hear().await, kept(expected));
}

#[tokio::test(start_paused = true)]
async fn a_rewrite_has_the_last_word_and_a_response_can_be_changed() {
    let (host, mut upstream) = raw_with(|proxy| {
        proxy
            .rewrite(|out, r| {
                out.header.set("X-Forwarded-Host", "other.test");
                out.header.del("X-Secret");
                out.set_url("http://v.test:81/base")?;
                out.host = r.host.clone();
                Ok(())
            })
            .modify_response(|response, _| {
                response.header.del("Server");
                response.body = "changed".into();
                Ok(())
            })
    });
    let mut client = host.connect();
    client.send("GET /x?y HTTP/1.1\r\nHost: a\r\nX-Secret: 1\r\n\r\n").await;
    let mut conn = upstream.accept().await;
    let request = conn.request().await;
    assert_eq!((request.line(), request.place.as_str()), ("GET /base/x?y HTTP/1.1", "v.test:81"));
    assert_eq!((request.field("Host"), request.field("X-Secret")), (Some("a"), None));
    assert_eq!(request.field("X-Forwarded-Host"), Some("other.test"));
    conn.send("HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 2\r\n\r\nok").await;
    assert_eq!(client.hear().await, kept("HTTP/1.1 200 OK\r\nContent-Length: 7\r\nDate: -\r\n\r\nchanged"));
}
