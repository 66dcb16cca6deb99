//! The way to the server: proxies, addresses, redirects, and what --trace says of it.

use nethttp::{Response, StatusCode};

use crate::support::{Site, bytes, command, get, noting};

#[test]
fn a_proxy_is_asked_for_the_whole_url() {
    let (proxy, log) = noting();
    get(&["-x", &proxy.url(""), "http://a.test/x"]).says("ok");
    let asked = log.only();
    assert_eq!((asked.target.as_str(), asked.host.as_str()), ("http://a.test/x", "a.test"));
    let ended = command(&["http://a.test/y"]).env("HTTP_PROXY", proxy.url("")).output().unwrap();
    assert!(ended.status.success());
    assert_eq!(log.only().target, "http://a.test/y");
}

#[test]
fn an_empty_proxy_is_none_whatever_the_environment_says() {
    let (site, log) = noting();
    let place = format!("a.test:{}:127.0.0.1", site.address.port());
    let url = format!("http://a.test:{}/", site.address.port());
    let ended =
        command(&["-x", "", "--resolve", &place, &url]).env("HTTP_PROXY", "http://127.0.0.1:1").output().unwrap();
    assert!(ended.status.success());
    assert_eq!(log.only().host, format!("a.test:{}", site.address.port()));
}

#[test]
fn a_host_is_where_the_command_line_says() {
    let (site, log) = noting();
    let port = site.address.port();
    get(&["--resolve", &format!("A.test:{port}:127.0.0.1"), &format!("http://a.test:{port}/")]).says("ok");
    assert_eq!(log.only().host, format!("a.test:{port}"));
}

#[test]
fn redirects_are_followed_where_that_is_asked_for() {
    let site = Site::answering(|asked| match asked.target.as_str() {
        "/from" => Response::new("elsewhere").with_status(StatusCode::FOUND).with_header("Location", "/to"),
        _ => Response::new(format!("{} {}", asked.method, asked.target)),
    });
    get(&[&site.url("/from")]).says("elsewhere");
    get(&["-L", &site.url("/from")]).says("GET /to");
    get(&["-L", "-d", "x", &site.url("/from")]).says("GET /to");
}

#[test]
fn a_trace_has_every_step_of_every_request() {
    let site = Site::answering(|asked| match asked.target.as_str() {
        "/from" => Response::new("").with_status(StatusCode::FOUND).with_header("Location", "/to"),
        _ => Response::new("there"),
    });
    let port = site.address.port();
    let url = format!("http://me:secret@a.test:{port}/from");
    let ended = get(&["--trace", "-L", "--resolve", &format!("a.test:{port}:127.0.0.1"), &url]);
    assert_eq!(ended.is(0).stdout(), "there");
    let text = ended.stderr();
    let words: Vec<_> = text.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
    let steps = [
        "GET",
        "resolve",
        "connect",
        "sent",
        "first",
        "content",
        "GET",
        "connection",
        "sent",
        "first",
        "content",
        "done",
    ];
    assert_eq!(words, steps, "{text}");
    for part in [
        format!("GET http://a.test:{port}/from: 302 Found\n"),
        "a.test: 127.0.0.1\n".to_owned(),
        format!("GET http://a.test:{port}/to: 200 OK\n"),
        format!("{}, used again\n", site.address),
        "5 bytes\n".to_owned(),
    ] {
        assert!(text.contains(&part), "{part} in {text}");
    }
    assert!(!text.contains("secret"));
}

#[test]
fn a_trace_of_what_failed_shows_how_far_it_came() {
    let (address, server) = bytes(vec![Vec::new()]);
    let ended = get(&["--trace", "-X", "POST", &format!("http://{address}/")]);
    server.join().unwrap();
    let text = ended.is(7).stderr();
    assert!(text.starts_with(&format!("POST http://{address}/: no answer\n")), "{text}");
    assert!(text.contains("\n  connect ") && text.contains("(not done)"), "{text}");
}

#[test]
fn http1_alone_works_and_says_so() {
    let (site, _) = noting();
    let ended = get(&["--http1.1", "-i", &site.url("/")]);
    assert!(ended.is(0).stdout().starts_with("HTTP/1.1 200 OK\r\n"));
}

#[test]
fn a_server_without_tls_is_spoken_to_in_http2_where_that_is_said() {
    let (site, log) = noting();
    let ended = get(&["--http2-prior-knowledge", "--trace", "-i", "-d", "x", &site.url("/")]);
    let text = ended.is(0).stdout();
    assert!(text.starts_with("HTTP/2.0 200\r\n") && text.ends_with("\r\n\r\nok"), "{text}");
    assert_eq!(log.only().content, "x");
    for step in ["connect", "sent", "first byte", "content"] {
        assert!(ended.stderr().contains(&format!("\n  {step} ")), "{step} in {}", ended.stderr());
    }
    assert!(!ended.stderr().contains("not done"), "{}", ended.stderr());
}

#[test]
fn http2_is_spoken_without_asking_where_that_is_said_and_nowhere_else() {
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec();
    let (address, server) = bytes(vec![answer.clone(), answer]);
    let url = format!("http://{address}/");
    get(&[&url]).says("");
    // The server does not speak it, so that this fails; but it does not fail over to HTTP/1.1.
    assert!(!get(&["--http2-prior-knowledge", &url]).stderr().is_empty());
    let heads = server.join().unwrap();
    assert!(heads[0].starts_with("GET / HTTP/1.1\r\n") && !heads[1].contains("GET"), "{heads:?}");
}
