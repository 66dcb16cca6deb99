//! The bytes of targets, and requests that end at the proxy.

use nethttp::reverse_proxy::ReverseProxy;

use crate::fake::fake;
use crate::kit::{plain, raw, raw_at};
use crate::wire::{Host, kept};

async fn target(url: &str, sent: &str) -> String {
    let (host, mut upstream) = raw_at(url, |proxy| proxy);
    host.connect().send(format!("GET {sent} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
    let request = upstream.accept().await.request().await;
    request.line().strip_prefix("GET ").unwrap().strip_suffix(" HTTP/1.1").unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_target_arrives_byte_for_byte() {
    for sent in ["/", "//a//b", "/%2F/%2e%2E/./../x", "/?", "/x?a=%20+b&&=&%C3%A9", "/a:b@c;d=1?x"] {
        assert_eq!(target("http://u.test", sent).await, sent);
    }
}

#[tokio::test(start_paused = true)]
async fn the_upstreams_path_and_query_come_first() {
    assert_eq!(target("http://u.test/base/", "/x?a=b").await, "/base/x?a=b");
    assert_eq!(target("http://u.test/base?key=1", "/%2F?a=b").await, "/base/%2F?key=1&a=b");
}

#[tokio::test(start_paused = true)]
async fn a_query_that_two_parsers_read_differently_loses_what_they_differ_in() {
    assert_eq!(target("http://u.test", "/x?z=1&a=2;b=3&c=%zz&d=%41").await, "/x?z=1&d=%41");
}

#[tokio::test(start_paused = true)]
async fn max_forwards_is_counted_and_at_its_end_answered_here() {
    for (method, left, passes_on) in [("OPTIONS", "1", Some("0")), ("TRACE", "7", Some("6")), ("GET", "0", Some("0"))] {
        let (host, mut upstream) = raw();
        host.connect().send(format!("{method} /x HTTP/1.1\r\nHost: a\r\nMax-Forwards: {left}\r\n\r\n")).await;
        assert_eq!(upstream.accept().await.request().await.field("Max-Forwards"), passes_on, "{method}");
    }
    for (method, status) in [("OPTIONS", "200 OK"), ("TRACE", "405 Method Not Allowed")] {
        let (host, mut upstream) = raw();
        let request = format!("{method} /x HTTP/1.1\r\nHost: a\r\nCookie: secret\r\nMax-Forwards: 0\r\n\r\n");
        let answer = host.connect().talk(request).await;
        assert_eq!(answer, kept(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nDate: -\r\n\r\n")));
        assert!(upstream.try_accept().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_general_options_request_goes_on_as_it_is_where_the_server_lets_it() {
    let (transport, mut upstream) = fake();
    let proxy = ReverseProxy::to("http://u.test/base").unwrap().transport(plain(&transport));
    let host = Host::with(proxy, |server| server.disable_general_options_handler = true);
    host.connect().send("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(upstream.accept().await.request().await.line(), "OPTIONS * HTTP/1.1");
}

#[tokio::test(start_paused = true)]
async fn no_tunnel_is_made_for_connect() {
    let (host, mut upstream) = raw();
    let answer = host.connect().talk("CONNECT u.test:80 HTTP/1.1\r\nHost: u.test:80\r\n\r\n").await;
    assert!(answer.text.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"), "{answer:?}");
    assert!(upstream.try_accept().is_none());
}
