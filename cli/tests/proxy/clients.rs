//! The side of the clients: TLS, redirects to it, fields, passwords, compression, the PROXY protocol, the end.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;

use nethttp::tls::TlsServerConfig;

use crate::support::{Answer, Folder, Named, Proxy, Site, address_in};

/// A certificate for a name and its key, as files.
fn certificate(folder: &Folder, name: &str) -> (String, String) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let certificate = folder.write(&format!("{name}.pem"), &made.cert.pem());
    (certificate, folder.write(&format!("{name}.key"), &made.signing_key.serialize_pem()))
}

/// What curl gets; `None` where there is no curl.
fn curl(arguments: &[&str]) -> Option<Answer> {
    match Command::new("curl").args(["-sSi", "--max-time", "20"]).args(arguments).output() {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            Some(Answer(text + &String::from_utf8_lossy(&output.stderr)))
        }
        Err(_) => {
            // Not `eprintln`: that is kept back where a test passes.
            let _ = writeln!(std::io::stderr(), "LEFT OUT: curl is not on this machine");
            None
        }
    }
}

#[test]
fn certificates_are_chosen_by_name_and_read_again_on_sighup() {
    let (folder, site) = (Folder::new(), Site::named("a"));
    let (one, two) = (certificate(&folder, "one.test"), certificate(&folder, "two.test"));
    let mut proxy = Proxy::start(&[
        "--to",
        &site.url(),
        "--tls-cert",
        &one.0,
        "--tls-key",
        &one.1,
        "--tls-cert",
        &two.0,
        "--tls-key",
        &two.1,
    ]);
    let port = proxy.address().rsplit_once(':').unwrap().1.to_owned();
    let get = |name: &str, trusted: &str| {
        let resolve = format!("{name}:{port}:127.0.0.1");
        curl(&["--resolve", &resolve, "--cacert", trusted, &format!("https://{name}:{port}/x")])
    };
    let Some(answer) = get("one.test", &one.0) else { return };
    assert!(
        answer.content().contains("a GET /x ") && answer.content().contains("X-Forwarded-Proto: https"),
        "{answer:?}"
    );
    assert!(get("two.test", &two.0).unwrap().content().contains("a GET /x "));
    let old = folder.write("old.pem", &std::fs::read_to_string(&one.0).unwrap());
    certificate(&folder, "one.test");
    proxy.signal("HUP");
    proxy.log_line_with("were read again");
    assert!(get("one.test", &one.0).unwrap().content().contains("a GET /x "));
    assert!(!get("one.test", &old).unwrap().content().contains("a GET /x "), "it has another one now");
}

#[test]
fn clients_without_tls_are_sent_to_https() {
    let site = Site::named("a");
    let mut proxy = Proxy::start(&["--to", &site.url(), "--self-signed", "--redirect-https=127.0.0.1:0"]);
    let redirects = proxy.first_line.clone();
    proxy.first_line = proxy.line();
    let (_, port) = proxy.address().rsplit_once(':').unwrap();
    let location = format!("https://cli.test:{port}/x?y");
    let ask = |address: &str| {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.write_all(b"GET /x?y HTTP/1.1\r\nHost: cli.test:80\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        Answer(answer)
    };
    let answer = ask(address_in(&redirects));
    assert_eq!((answer.status(), answer.field("Location")), ("308", Some(&*location)), "{answer:?}");
    // One that speaks HTTP to the port of TLS, too.
    let answer = ask(proxy.address());
    assert_eq!((answer.status(), answer.field("Location")), ("308", Some(&*location)), "{answer:?}");
    // Where TLS is done by another proxy, what that one says counts.
    let behind = Proxy::start(&["--to", &site.url(), "--redirect-https"]);
    assert_eq!(behind.get("/x").field("Location"), Some("https://cli.test/x"));
    assert_eq!(behind.get_with("/x", "X-Forwarded-Proto: https\r\n").status(), "200");
}

#[test]
fn servers_may_speak_tls_and_http2() {
    let folder = Folder::new();
    let made = certificate(&folder, "localhost");
    let tls = TlsServerConfig::from_pem_files(&made.0, &made.1).unwrap();
    let secure = Site::start_with(Named("a"), "127.0.0.1:0", Some(tls));
    let url = format!("https://localhost:{}", secure.address.port());
    assert_eq!(Proxy::start(&["--to", &url]).get("/").status(), "502", "nobody trusts it");
    let trusting = Proxy::start(&["--to", &url, "--cacert", &made.0]);
    assert_eq!(trusting.get("/").server(), "a", "{:?}", trusting.get("/"));
    assert_eq!(Proxy::start(&["--to", &url, "--insecure-upstream"]).get("/").server(), "a");
    let plain = Site::named("b");
    let answer = Proxy::start(&["--to", &plain.url(), "--upstream-http2"]).get("/x");
    assert!(answer.content().starts_with("b GET /x HTTP/2.0 "), "{answer:?}");
}

#[test]
fn answers_get_fields_and_are_compressed_and_need_a_password() {
    let site = Site::named("a");
    let fields = ["--header", "X-Served-By: us", "--header", "Cache-Control: max-age=60"];
    let proxy = Proxy::start(&[&["--to", &site.url()], &fields[..], &["--compress"]].concat());
    let answer = proxy.get_with("/", &format!("Accept-Encoding: gzip\r\nX-Long: {}\r\n", "a".repeat(4_000)));
    assert_eq!((answer.field("X-Served-By"), answer.field("Content-Encoding")), (Some("us"), Some("gzip")));
    assert_eq!(answer.field("Cache-Control"), Some("max-age=60"));

    let hashing = Command::new(env!("CARGO_BIN_EXE_nethttp"))
        .args(["hash", "--rounds", "10"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn();
    let mut hashing = hashing.unwrap();
    hashing.stdin.take().unwrap().write_all(b"secret\n").unwrap();
    let hash = String::from_utf8(hashing.wait_with_output().unwrap().stdout).unwrap();
    let proxy = Proxy::start(&["--to", &site.url(), "--auth", &format!("anna:{}", hash.trim_end())]);
    let refused = proxy.get("/");
    assert_eq!(
        (refused.status(), refused.field("WWW-Authenticate")),
        ("401", Some("Basic realm=\"proxy\", charset=\"UTF-8\""))
    );
    // anna:secret (RFC 4648 §4).
    assert_eq!(proxy.get_with("/", "Authorization: Basic YW5uYTpzZWNyZXQ=\r\n").server(), "a");
}

#[test]
fn the_proxy_protocol_says_who_the_client_is() {
    let site = Site::named("a");
    let proxy = Proxy::start(&["--to", &site.url(), "--proxy-protocol"]);
    let request = "GET /x HTTP/1.1\r\nHost: cli.test\r\nConnection: close\r\n\r\n";
    let answer = proxy.ask(&format!("PROXY TCP4 192.0.2.7 198.51.100.1 4000 443\r\n{request}"));
    assert!(answer.content().contains("X-Forwarded-For: 192.0.2.7\n"), "{answer:?}");
    assert_eq!(proxy.ask(request).0, "", "without a header it is closed");
}

#[test]
fn a_server_is_told_who_the_client_is_by_the_proxy_protocol() {
    for (version, expected) in [
        ("--send-proxy-protocol", &b"PROXY TCP4 127.0.0.1 127.0.0.1 "[..]),
        ("--send-proxy-protocol=v2", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x01"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let proxy = Proxy::start(&["--to", &url, version]);
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") || head.len() < 40 {
                assert_eq!(stream.read(&mut byte).unwrap(), 1);
                head.push(byte[0]);
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
            head
        });
        assert_eq!(proxy.get("/x").content(), "ok");
        let head = server.join().unwrap();
        assert!(head.starts_with(expected), "{head:?}");
        assert!(head.windows(7).any(|window| window == b"GET /x "), "{head:?}");
    }
}

#[cfg(unix)]
#[test]
fn sigterm_lets_an_answer_end_and_the_command_ends_well() {
    use std::io::BufRead as _;

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut proxy = Proxy::start(&["--to", &url]);
    let mut client = proxy.connect();
    client.write_all(b"GET /x HTTP/1.1\r\nHost: cli.test\r\n\r\n").unwrap();
    let (mut server, _) = listener.accept().unwrap();
    server.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha").unwrap();
    let mut client = std::io::BufReader::new(client);
    let mut line = String::new();
    client.read_line(&mut line).unwrap();
    proxy.signal("TERM");
    proxy.log_line_with("Stopping");
    server.write_all(b"lf").unwrap();
    let mut rest = String::new();
    client.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("\r\n\r\nhalf"), "{rest}");
    assert!(proxy.child.wait().unwrap().success());
}

/// A frame of HTTP/2 (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

#[cfg(unix)]
#[test]
fn sigterm_says_goaway_ends_answers_of_http2_and_tunnels() {
    const HEADERS: u8 = 1;
    const GOAWAY: u8 = 7;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut proxy = Proxy::start(&["--to", &url]);
    // A tunnel.
    let mut tunnel = proxy.connect();
    tunnel.write_all(b"GET / HTTP/1.1\r\nHost: cli.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n").unwrap();
    let (mut far, _) = listener.accept().unwrap();
    far.write_all(b"HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello").unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"hello") {
        let mut byte = [0];
        tunnel.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    // A request over HTTP/2: `GET http://h/` from the static table of HPACK.
    let mut client = proxy.connect();
    let get = frame(HEADERS, 5, 1, &[0x82, 0x86, 0x84, 1, 1, b'h']);
    client.write_all(&[&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(4, 0, 0, b""), &get].concat()).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    let mut asked = [0; 14];
    server.read_exact(&mut asked).unwrap();
    assert_eq!(&asked, b"GET / HTTP/1.1");
    proxy.signal("TERM");
    let mut heard = Vec::new();
    let is_in = |heard: &[u8], kind: u8| {
        let mut rest = heard;
        while let Some((head, behind)) = rest.split_at_checked(9) {
            if head[3] == kind {
                return true;
            }
            rest = behind.get(usize::from(head[1]) << 8 | usize::from(head[2])..).unwrap_or_default();
        }
        false
    };
    let mut piece = [0; 1000];
    while !is_in(&heard, GOAWAY) {
        let len = client.read(&mut piece).unwrap();
        assert!(len > 0, "it ends without a word");
        heard.extend_from_slice(&piece[..len]);
    }
    assert!(!is_in(&heard, HEADERS));
    server.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhalf").unwrap();
    client.read_to_end(&mut heard).unwrap();
    assert!(is_in(&heard, HEADERS) && heard.windows(4).any(|four| four == b"half"), "{heard:?}");
    // Both ends of the tunnel have ended.
    assert_eq!((tunnel.read(&mut piece).unwrap_or(0), far.read_to_end(&mut Vec::new()).is_ok()), (0, true));
    assert!(proxy.child.wait().unwrap().success());
}

#[test]
fn workers_serve_as_one_does() {
    let site = Site::named("a");
    let proxy = Proxy::start(&["--to", &site.url(), "--workers", "2", "--max-connections", "8"]);
    assert!((0..6).all(|_| proxy.get("/").server() == "a"));
}
