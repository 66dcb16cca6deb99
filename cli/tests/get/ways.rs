//! The way to the server: proxies, addresses, redirects, and what --trace says of it.

use nethttp::{Response, StatusCode};

use crate::support::{Folder, Site, bytes, command, get, noting};

#[test]
fn a_proxy_is_asked_for_the_whole_url() {
    let (proxy, log) = noting();
    get(&["-x", &proxy.url(""), "http://a.test/x"]).says("ok");
    let received = log.only();
    assert_eq!((received.target.as_str(), received.host.as_str()), ("http://a.test/x", "a.test"));
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
fn a_family_of_addresses_is_the_only_one_where_that_is_said() {
    let (site, _) = noting();
    let port = site.address.port();
    let (url, both) = (format!("http://a.test:{port}/"), format!("a.test:{port}:::1,127.0.0.1"));
    get(&["-4", "--resolve", &both, &url]).says("ok");
    get(&["-4", &site.url("/")]).says("ok");
    get(&["-6", "--resolve", &format!("a.test:{port}:127.0.0.1"), &url]).is(3);
    assert!(get(&["-6", &site.url("/")]).is(3).stderr().contains("it is no IPv6 address"));
    get(&["-4", "-6", &url]).is(2);
}

#[test]
fn connections_come_from_the_address_that_is_said() {
    let site = Site::start(nethttp::respond(async |r: &mut nethttp::Request| r.remote_addr.ip().unwrap().to_string()));
    if cfg!(target_os = "linux") {
        // All of 127/8 is this machine's there.
        get(&["--interface", "127.0.0.2", &site.url("/")]).says("127.0.0.2");
    }
    get(&["--interface", "127.0.0.1", &site.url("/")]).says("127.0.0.1");
    get(&["--interface", "::1", &site.url("/")]).is(3);
}

#[cfg(target_os = "linux")]
#[test]
fn connections_go_by_way_of_the_interface_that_is_said() {
    use std::io::Write as _;

    let (site, _) = noting();
    let ended = get(&["--interface", "no-such-one", &site.url("/")]);
    assert!(ended.is(3).stderr().contains("by way of no-such-one: "), "{}", ended.stderr());
    let ended = get(&["--trace", "--interface", "lo", &site.url("/")]);
    if ended.stderr().contains("not permitted") {
        // Not `eprintln`: that is kept back where a test passes.
        let _ = writeln!(std::io::stderr(), "LEFT OUT: this system binds no sockets to devices");
        return;
    }
    assert_eq!(ended.is(0).stdout(), "ok");
    assert!(ended.stderr().contains("\n  connect "), "{}", ended.stderr());
}

#[cfg(unix)]
#[test]
fn a_unix_socket_is_asked_whatever_the_host_is() {
    use std::io::{Read as _, Write as _};

    let folder = Folder::new();
    let listener = std::os::unix::net::UnixListener::bind(folder.0.join("socket")).unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() > 0 {
            head.push(byte[0]);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
        String::from_utf8(head).unwrap()
    });
    let mut command = command(&["--unix-socket", "socket", "http://docker.test/info"]);
    let ended = command.current_dir(&folder.0).env("HTTP_PROXY", "http://127.0.0.1:1").output().unwrap();
    assert_eq!(ended.stdout, b"ok", "{ended:?}");
    let head = server.join().unwrap();
    assert!(head.starts_with("GET /info HTTP/1.1\r\nHost: docker.test\r\n"), "{head}");
    folder.get(&["--unix-socket", "missing", "http://docker.test/"]).is(3);
}

#[test]
fn content_goes_no_faster_than_allowed_in_both_directions() {
    let (site, folder) = (Site::answering(|_| Response::new("x".repeat(2000))), Folder::new());
    folder.write("data", "x".repeat(2000));
    for arguments in [&["-o", "file"][..], &["-d", "@data", "-o", "file"]] {
        let begun = std::time::Instant::now();
        folder.get(&[arguments, &["--limit-rate", "10000", &site.url("/")]].concat()).says("");
        let expected = std::time::Duration::from_millis(200 * if arguments.len() > 2 { 2 } else { 1 });
        assert!(begun.elapsed() >= expected, "{arguments:?}: {:?}", begun.elapsed());
        assert_eq!(folder.read("file").len(), 2000);
    }
    get(&["--limit-rate", "0", &site.url("/")]).is(2);
}

#[test]
fn redirects_are_followed_where_that_is_asked_for() {
    let site = Site::answering(|received| match received.target.as_str() {
        "/from" => Response::new("elsewhere").with_status(StatusCode::FOUND).with_header("Location", "/to"),
        _ => Response::new(format!("{} {}", received.method, received.target)),
    });
    get(&[&site.url("/from")]).says("elsewhere");
    get(&["-L", &site.url("/from")]).says("GET /to");
    get(&["-L", "-d", "x", &site.url("/from")]).says("GET /to");
}

#[test]
fn a_trace_has_every_step_of_every_request() {
    let site = Site::answering(|received| match received.target.as_str() {
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
    // Another task writes: that all was sent may be noted behind the response, and then nothing was waited for.
    for step in ["connect", "sent", "content"] {
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
