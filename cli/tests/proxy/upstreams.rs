//! Several servers: policies, failures, health checks, limits, and what the status page says.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

use nethttp::{Request, Response, StatusCode, respond};

use crate::support::{Named, Proxy, Site, address_in, nobody};

fn servers(proxy: &Proxy, count: usize) -> Vec<String> {
    (0..count).map(|_| proxy.get("/").server().to_owned()).collect()
}

#[test]
fn several_servers_get_requests_in_turn_and_by_their_weights() {
    let (a, b) = (Site::named("a"), Site::named("b"));
    let proxy = Proxy::start(&["--to", &format!("{} weight=2", a.url()), "--to", &b.url()]);
    let seen = servers(&proxy, 6).concat();
    assert_eq!((seen.matches('a').count(), seen.matches('b').count()), (4, 2), "{seen}");
}

#[test]
fn a_client_stays_with_its_server_by_address_field_or_cookie() {
    let sites = ["a", "b", "c"].map(Site::named);
    let urls: Vec<String> = sites.iter().map(Site::url).collect();
    let with = |policy: &str| Proxy::start(&["--to", &urls[0], "--to", &urls[1], "--to", &urls[2], "--policy", policy]);
    let by_address = with("ip-hash");
    let seen: BTreeSet<String> = servers(&by_address, 6).into_iter().collect();
    assert_eq!(seen.len(), 1);
    for (policy, field) in [("header:X-User", "X-User: "), ("cookie:session", "Cookie: session=")] {
        let proxy = with(policy);
        let server = |user: usize| proxy.get_with("/", &format!("{field}{user}\r\n")).server().to_owned();
        let first: Vec<String> = (0..20).map(server).collect();
        assert_eq!((0..20).map(server).collect::<Vec<_>>(), first);
        assert_eq!(first.into_iter().collect::<BTreeSet<_>>().len(), 3, "{policy}");
    }
}

#[test]
fn the_address_of_a_client_behind_a_trusted_proxy_is_what_that_one_says() {
    let (a, b) = (Site::named("a"), Site::named("b"));
    let trust = ["--policy", "ip-hash", "--trust-forwarded", "127.0.0.0/8"];
    let proxy = Proxy::start(&[&["--to", &a.url(), "--to", &b.url()], &trust[..]].concat());
    let server = |client: usize| {
        let field = format!("X-Forwarded-For: 198.51.100.{client}\r\n");
        proxy.get_with("/", &field).server().to_owned()
    };
    let first: Vec<String> = (0..20).map(server).collect();
    assert_eq!((0..20).map(server).collect::<Vec<_>>(), first);
    assert_eq!(first.into_iter().collect::<BTreeSet<_>>().len(), 2);
}

#[test]
fn a_server_that_cannot_be_reached_is_passed_over_with_the_whole_request() {
    let site = Site::named("a");
    for policy in ["round-robin", "least-connections", "random-two"] {
        let mut proxy = Proxy::start(&["--to", &nobody(), "--to", &site.url(), "--policy", policy]);
        for _ in 0..4 {
            let post = "POST /x HTTP/1.1\r\nHost: cli.test\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
            let answer = proxy.ask(post);
            assert!(answer.server() == "a" && answer.content().ends_with("\nhello"), "{answer:?}");
        }
        // One failure, and it is out.
        let lines: Vec<String> = (0..4).map(|_| proxy.log_line_with(" POST /x 200 ")).collect();
        assert!(lines.iter().filter(|line| line.contains("retries=1")).count() <= 1, "{lines:?}");
    }
}

#[test]
fn it_is_said_when_a_server_is_left_out_and_when_it_is_back() {
    let (a, b) = (Site::named("a"), Site::named("b"));
    let (b_url, b_address) = (b.url(), b.address.to_string());
    let mut proxy = Proxy::start(&["--to", &a.url(), "--to", &b_url, "--fail-timeout", "0.5"]);
    drop(b);
    servers(&proxy, 2);
    let said = proxy.log_line_with("left out");
    assert!(said.starts_with(&format!("nethttp: {b_url} has failed and is left out for ")), "{said}");
    let _b = Site::start_with(Named("b"), &b_address, None);
    while !servers(&proxy, 2).contains(&"b".to_owned()) {}
    assert_eq!(proxy.log_line_with("again"), format!("nethttp: {b_url} gets requests again\n"));
}

#[test]
fn when_all_servers_are_out_the_answer_is_503_at_once_and_one_alone_is_asked_each_time() {
    let proxy = Proxy::start(&["--to", &nobody(), "--to", &nobody()]);
    assert_eq!(proxy.get("/").status(), "502");
    assert_eq!(proxy.get("/").status(), "503");
    let alone = Proxy::start(&["--to", &nobody()]);
    assert_eq!([alone.get("/").status(), alone.get("/").status()], ["502", "502"]);
}

#[test]
fn a_server_that_was_out_is_back_after_the_fail_time() {
    let (a, b) = (Site::named("a"), Site::named("b"));
    let (a_url, b_address) = (a.url(), b.address.to_string());
    let proxy = Proxy::start(&["--to", &a_url, "--to", &b.url(), "--fail-timeout", "0.3"]);
    drop(b);
    assert!(servers(&proxy, 6).iter().all(|server| server == "a"));
    let _b = Site::start_with(Named("b"), &b_address, None);
    // It comes back by time alone; how long that takes on a busy machine is no matter.
    while !servers(&proxy, 2).contains(&"b".to_owned()) {}
}

#[test]
fn a_server_gets_requests_while_its_health_check_passes() {
    let (is_well, checked) = (Arc::new(AtomicBool::new(false)), mpsc::channel());
    let (well, tell) = (is_well.clone(), std::sync::Mutex::new(checked.0));
    let site = Site::start(respond(move |r: &mut Request| {
        let is_check = r.uri.path() == "/healthz";
        let status = if well.load(Ordering::SeqCst) { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        if is_check {
            // The test may be over.
            let _ = tell.lock().unwrap().send(());
        }
        let response = if is_check { Response::new("").with_status(status) } else { Response::new("checked ") };
        async move { response }
    }));
    let other = Site::named("other");
    let proxy = Proxy::start(&[
        "--to",
        &site.url(),
        "--to",
        &other.url(),
        "--health-path",
        "/healthz",
        "--health-interval",
        "0.05",
    ]);
    let next_check = || checked.1.recv().unwrap();
    // The answer to the first has been counted when the second comes.
    next_check();
    next_check();
    assert!(servers(&proxy, 6).iter().all(|server| server.is_empty() || server == "other"));
    is_well.store(true, Ordering::SeqCst);
    while !servers(&proxy, 2).contains(&"checked".to_owned()) {}
}

/// A server that answers each request when it is told to, and tells of each.
fn held() -> (String, mpsc::Receiver<String>, mpsc::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (came, coming) = mpsc::channel();
    let (go, going) = mpsc::channel();
    std::thread::spawn(move || {
        // Ends with the process of the test: each connection is one request.
        while let Ok((mut stream, _)) = listener.accept() {
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) > 0 {
                head.push(byte[0]);
            }
            let target = String::from_utf8_lossy(&head).split(' ').nth(1).unwrap_or_default().to_owned();
            if came.send(target).is_err() || going.recv().is_err() {
                return;
            }
            // The proxy may have gone.
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
        }
    });
    (url, coming, go)
}

#[test]
fn who_finds_no_room_waits_in_order_and_who_leaves_is_not_sent() {
    let (url, coming, go) = held();
    let mut proxy = Proxy::start_as_written(&[
        "--to",
        &url,
        "--max-connections-per-upstream",
        "1",
        "--status",
        "127.0.0.1:0",
        "-a",
        "127.0.0.1:0",
    ]);
    let status = proxy.first_line.clone();
    proxy.first_line = proxy.line();
    let waiting = |count: usize| {
        while !status_json(address_in(&status)).contains(&format!("\"waiting\": {count}")) {}
    };
    let send = |target: &str| {
        let mut stream = proxy.connect();
        let request = format!("GET {target} HTTP/1.1\r\nHost: cli.test\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        stream
    };
    let first = send("/1");
    assert_eq!(coming.recv().unwrap(), "/1");
    let mut others = Vec::new();
    for (at, target) in ["/2", "/3", "/4"].into_iter().enumerate() {
        others.push(send(target));
        waiting(at + 1);
    }
    drop(others.remove(1));
    waiting(2);
    for (mut stream, target) in std::iter::once(first).chain(others).zip(["/2", "/4", ""]) {
        go.send(()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        if !target.is_empty() {
            assert_eq!(coming.recv().unwrap(), target);
        }
    }
}

fn status_json(address: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /status.json HTTP/1.1\r\nHost: cli.test\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn the_status_says_how_each_server_is_as_a_page_and_as_json() {
    let site = Site::named("a");
    let gone = nobody();
    let mut proxy = Proxy::start(&["--to", &site.url(), "--to", &gone, "--status", "127.0.0.1:0"]);
    let status = address_in(&proxy.first_line).to_owned();
    assert!(proxy.first_line.starts_with("Status on http://"), "{}", proxy.first_line);
    proxy.first_line = proxy.line();
    servers(&proxy, 4);
    let answer = status_json(&status);
    let json: serde_json::Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    let upstreams = &json["routes"][0]["upstreams"];
    assert_eq!((upstreams[0]["name"].as_str(), upstreams[0]["health"].as_str()), (Some(&*site.url()), Some("up")));
    assert_eq!(upstreams[0]["responses"]["2xx"], 4);
    assert_eq!(upstreams[0]["latency_seconds"]["count"], 4);
    assert_eq!((upstreams[1]["health"].as_str(), upstreams[1]["failures"].as_u64()), (Some("out"), Some(1)));
    let mut stream = TcpStream::connect(&status).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: cli.test\r\nConnection: close\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    assert!(page.contains(&gone) && page.contains("text/html") && !page.contains("<script"), "{page}");
}

#[test]
fn time_limits_are_answered_504() {
    let (url, coming, _go) = held();
    let proxy = Proxy::start(&["--to", &url, "--response-timeout", "0.2"]);
    assert_eq!(proxy.get("/slow").status(), "504");
    assert_eq!(coming.recv().unwrap(), "/slow");
}
