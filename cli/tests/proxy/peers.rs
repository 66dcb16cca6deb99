//! Other proxies in front of this one and behind it: nginx and HAProxy, over Unix sockets, so that no port is chosen
//! twice. One that is not on this machine is left out with a line.
#![cfg(unix)]

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Answer, Folder, Proxy, Site};

/// Another proxy, ended with the test.
struct Peer(Child);

impl Peer {
    /// Starts it, and waits until it listens at this path; `None` where there is no such program.
    fn start(program: &str, arguments: &[&str], path: &str) -> Option<Peer> {
        let started = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(child) = started else {
            // Not `eprintln`: that is kept back where a test passes.
            let _ = writeln!(std::io::stderr(), "LEFT OUT: {program} is not on this machine");
            return None;
        };
        let mut peer = Peer(child);
        let begun = Instant::now();
        while UnixStream::connect(path).is_err() {
            assert!(peer.0.try_wait().unwrap().is_none(), "{program} has ended");
            assert!(begun.elapsed() < Duration::from_secs(30), "{program} does not listen");
            std::thread::yield_now();
        }
        Some(peer)
    }

    fn nginx(folder: &Folder, path: &str, server: &str) -> Option<Peer> {
        let scratch = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {};\n", folder.path(name)))
            .concat();
        let file = folder.write(
            "nginx.conf",
            &format!(
                "daemon off; master_process off; pid {}; error_log stderr; events {{}}\n\
                 http {{ access_log off; client_max_body_size 0;\n{scratch}\n{server} }}\n",
                folder.path("nginx.pid")
            ),
        );
        Peer::start("nginx", &["-e", "stderr", "-c", &file, "-p", &folder.path("")], path)
    }

    fn haproxy(folder: &Folder, path: &str, rest: &str) -> Option<Peer> {
        let times = "timeout connect 5s\ntimeout client 20s\ntimeout server 20s\n";
        let file = folder.write("haproxy.cfg", &format!("defaults\nmode http\n{times}{rest}\n"));
        Peer::start("haproxy", &["-f", &file], path)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What is answered at this path.
fn ask(path: &str, request: &[u8]) -> Answer {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    Answer(String::from_utf8_lossy(&answer).into_owned())
}

fn upload() -> Vec<u8> {
    let head = "PUT /a%2Fb//c?q=%20 HTTP/1.1\r\nHost: cli.test\r\nConnection: close\r\nContent-Length: 300000\r\n\r\n";
    [head.as_bytes(), &[b'z'; 300_000]].concat()
}

/// Long answers come in chunks, which may be anywhere in the content.
fn is_whole(answer: &Answer) -> bool {
    let sent = answer.content().bytes().filter(|&byte| byte == b'z').count();
    answer.status() == "200" && answer.content().contains(" PUT /a%2Fb//c?q=%20 ") && sent == 300_000
}

#[test]
fn nginx_and_haproxy_may_stand_in_front() {
    let site = Site::named("a");
    let own = Folder::new();
    let listening = own.path("own.sock");
    let _proxy = Proxy::start_as_written(&["-a", &format!("unix:{listening}"), "--to", &site.url()]);
    assert!(is_whole(&ask(&listening, &upload())));

    let folder = Folder::new();
    let path = folder.path("front.sock");
    let server = format!(
        "server {{ listen unix:{path}; location / {{ proxy_pass http://unix:{listening}:; proxy_http_version 1.1; }} }}"
    );
    if let Some(_nginx) = Peer::nginx(&folder, &path, &server) {
        let answer = ask(&path, &upload());
        assert!(is_whole(&answer), "nginx: {:.2000}", answer.0);
    }
    for protocol in ["", "proto h2"] {
        let folder = Folder::new();
        let path = folder.path("front.sock");
        let rest = format!("listen l\nbind unix@{path}\nserver s unix@{listening} {protocol}");
        if let Some(_haproxy) = Peer::haproxy(&folder, &path, &rest) {
            let answer = ask(&path, &upload());
            assert!(is_whole(&answer), "HAProxy {protocol}: {:.2000}", answer.0);
        }
    }
}

#[test]
fn nginx_and_haproxy_may_stand_behind() {
    let site = Site::named("a");
    for (listen, options) in [("", &[][..]), ("http2", &["--upstream-http2"])] {
        let folder = Folder::new();
        let path = folder.path("back.sock");
        let content = "y".repeat(500_000);
        folder.write("large", &content);
        let server = format!(
            "server {{ listen unix:{path} {listen}; root {};\n\
             location /said {{ return 200 \"$request_method $request_uri $server_protocol\"; }} }}",
            folder.path("")
        );
        if let Some(_nginx) = Peer::nginx(&folder, &path, &server) {
            let to = format!("unix:{path}");
            let proxy = Proxy::start(&[&["--to", to.as_str()], options].concat());
            let version = if listen.is_empty() { "HTTP/1.1" } else { "HTTP/2.0" };
            let said = proxy.get("/said/x%20y?z");
            assert_eq!(said.content(), format!("GET /said/x%20y?z {version}"), "{said:?}");
            assert!(proxy.get("/large").content() == content, "nginx {listen}");
            let part = proxy.get_with("/large", "Range: bytes=5-9\r\n");
            assert_eq!((part.status(), part.content()), ("206", "yyyyy"));
        }
        let folder = Folder::new();
        let path = folder.path("back.sock");
        let protocol = if listen.is_empty() { "" } else { "proto h2" };
        let rest = format!("listen l\nbind unix@{path} {protocol}\nserver s {}", site.address);
        if let Some(_haproxy) = Peer::haproxy(&folder, &path, &rest) {
            let to = format!("unix:{path}");
            let proxy = Proxy::start(&[&["--to", to.as_str()], options].concat());
            let answer = proxy.ask(std::str::from_utf8(&upload()).unwrap());
            assert!(is_whole(&answer), "HAProxy {protocol}: {:.2000}", answer.0);
        }
    }
}
