//! TLS as others speak it: curl and openssl against the server, over sockets. What is not on the
//! machine is left out, and that is said.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use nethttp::server::ServerEvent;
use nethttp::tls::{Certificate, ClientAuth, TlsServerConfig};
use nethttp::{ErrorKind, Request, ResponseWriter, Result, Server};
use tokio::net::TcpListener;

use crate::certificates::{Authority, Issued};
use crate::programs::{Folder, has, run_for_code};

/// Says the version, who is asked for, how many certificates were shown, and the content's length.
async fn facts(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let length = r.body.bytes(64 << 20).await?.len();
    let tls = r.tls.clone().unwrap();
    let name = tls.server_name.as_deref().unwrap_or("nobody");
    w.write(format!("{:?} {name} {} {length}\n", tls.version, tls.peer_certificates.len())).await
}

fn pair(issued: &Issued) -> Certificate {
    Certificate::from_pem(&issued.certificate, &issued.key).unwrap()
}

fn quiet() -> Server {
    let mut server = Server::new(facts);
    server.on_event = Some(Arc::new(|_: &ServerEvent| {}));
    server
}

/// Serves over TLS on a port of its own.
async fn serve(tls: TlsServerConfig) -> (Server, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let server = quiet();
    let clone = server.clone();
    tokio::spawn(async move { clone.serve_tls(listener, &tls).await });
    (server, addr)
}

/// curl with these arguments, and names of `.test` on this machine.
async fn curl(addr: SocketAddr, arguments: &[&str]) -> (Option<i32>, String) {
    let port = addr.port();
    let mut all = vec!["-sS".to_owned(), "--max-time".to_owned(), "20".to_owned()];
    for name in ["a.test", "b.test"] {
        all.extend(["--resolve".to_owned(), format!("{name}:{port}:127.0.0.1")]);
    }
    all.extend(arguments.iter().map(|argument| argument.replace("PORT", &port.to_string())));
    run_for_code("curl", &all.iter().map(String::as_str).collect::<Vec<_>>(), "").await
}

fn ok(text: &str) -> (Option<i32>, String) {
    (Some(0), text.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_is_served_in_either_version_by_name_and_keeps_its_connection() {
    if !has("curl") {
        return;
    }
    let (authority, folder) = (Authority::new("ca"), Folder::new());
    let roots = folder.file("ca.pem", authority.pem());
    let certificates = [pair(&authority.issue(&["a.test"])), pair(&authority.issue(&["b.test"]))];
    let (server, addr) = serve(TlsServerConfig::new(certificates).unwrap()).await;

    for (arguments, version) in [(&["--tls-max", "1.2"][..], "Tls12"), (&[], "Tls13")] {
        let mut arguments = arguments.to_vec();
        arguments.extend(["--http1.1", "--cacert", &roots, "-w", "%{http_version} %{num_connects}\n"]);
        arguments.extend(["https://a.test:PORT/", "https://a.test:PORT/", "https://b.test:PORT/"]);
        let (a, b) = (format!("{version} a.test 0 0\n"), format!("{version} b.test 0 0\n"));
        let expected = format!("{a}1.1 1\n{a}1.1 0\n{b}1.1 1\n");
        assert_eq!(curl(addr, &arguments).await, ok(&expected));
    }
    let content = folder.file("content", vec![b'x'; 5_000_000]);
    let content = format!("@{content}");
    let sent = curl(addr, &["--cacert", &roots, "--data-binary", &content, "https://a.test:PORT/"]).await;
    assert_eq!(sent, ok("Tls13 a.test 0 5000000\n"));

    let stranger = folder.file("another.pem", Authority::new("another").pem());
    let (code, said) = curl(addr, &["--cacert", &stranger, "https://a.test:PORT/"]).await;
    assert_eq!(code, Some(60), "{said}");
    let refused = "400 Bad Request: client sent an HTTP request to an HTTPS server\n";
    assert_eq!(curl(addr, &["http://a.test:PORT/"]).await, ok(refused));

    let report = server.shutdown(Duration::from_secs(5)).await;
    assert_eq!((report.cut, server.connections()), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_shows_its_certificate_and_gets_the_reason_of_a_refusal() {
    if !has("curl") {
        return;
    }
    let (authority, folder) = (Authority::new("ca"), Folder::new());
    let roots = folder.file("ca.pem", authority.pem());
    let me = authority.issue_client("me");
    let (certificate, key) = (folder.file("me.pem", &me.certificate), folder.file("me.key", &me.key));
    let tls = TlsServerConfig::new([pair(&authority.issue(&["a.test"]))]).unwrap();
    let tls = tls.client_auth(ClientAuth::Required).client_roots_pem_file(&roots).unwrap();
    let (_server, addr) = serve(tls).await;

    let shown = ["--cacert", &roots, "--cert", &certificate, "--key", &key, "https://a.test:PORT/"];
    assert_eq!(curl(addr, &shown).await, ok("Tls13 a.test 2 0\n"), "its own, and that of who signed it");
    for version in ["1.2", "1.3"] {
        let (code, said) = curl(addr, &["--cacert", &roots, "--tls-max", version, "https://a.test:PORT/"]).await;
        assert_ne!(code, Some(0));
        // The alert, and no reset connection: the server lets it be read before it closes.
        assert!(said.contains("certificate required") || said.contains("handshake failure"), "{version}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threads_that_share_nothing_share_the_certificates() {
    if !has("curl") {
        return;
    }
    let (authority, folder) = (Authority::new("ca"), Folder::new());
    let roots = folder.file("ca.pem", authority.pem());
    let tls = TlsServerConfig::new([pair(&authority.issue(&["a.test"]))]).unwrap();
    let mut server = quiet();
    server.addr = "127.0.0.1:0".into();
    let (serving, shared) = (server.clone(), tls.clone());
    let serving = std::thread::spawn(move || serving.serve_tls_per_core(3, &shared));
    let addr = loop {
        match server.local_addrs().first() {
            Some(&addr) => break addr,
            None => std::thread::yield_now(),
        }
    };
    for _ in 0..6 {
        let answer = curl(addr, &["--cacert", &roots, "https://a.test:PORT/"]).await;
        assert_eq!(answer, ok("Tls13 a.test 0 0\n"));
    }
    tls.reload([pair(&Authority::new("another").issue(&["a.test"]))]).unwrap();
    for _ in 0..6 {
        let (code, said) = curl(addr, &["--cacert", &roots, "https://a.test:PORT/"]).await;
        assert_eq!(code, Some(60), "{said}");
    }
    server.shutdown(Duration::from_secs(5)).await;
    let ended = tokio::task::spawn_blocking(move || serving.join().unwrap()).await.unwrap();
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::ServerClosed);
}

/// `openssl s_client` with these arguments, one request on its input.
async fn openssl(addr: SocketAddr, arguments: &[&str]) -> (bool, String) {
    let addr = addr.to_string();
    let all = [&["s_client", "-connect", &addr, "-ign_eof"], arguments].concat();
    let request = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
    let (code, said) = run_for_code("openssl", &all, request).await;
    (code == Some(0), said)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openssl_agrees_resumes_and_sees_an_end_in_order() {
    if !has("openssl") {
        return;
    }
    let (authority, folder) = (Authority::new("ca"), Folder::new());
    let roots = folder.file("ca.pem", authority.pem());
    let (_server, addr) = serve(TlsServerConfig::new([pair(&authority.issue(&["a.test"]))]).unwrap()).await;
    let session = folder.path("session");
    for (version, said_version) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let common = ["-servername", "a.test", "-CAfile", &roots, "-verify_return_error", version];
        let alpn = ["-alpn", "http/1.1", "-sess_out", &session];
        let (went_well, said) = openssl(addr, &[&common[..], &alpn].concat()).await;
        assert!(went_well && said.contains(&format!("New, {said_version}")), "{said}");
        assert!(said.contains("ALPN protocol: http/1.1") && said.contains("Verify return code: 0 (ok)"), "{said}");
        assert!(said.contains("HTTP/1.1 200 OK") && !said.contains("unexpected eof"), "{said}");
        let (_, said) = openssl(addr, &[&common[..], &["-sess_in", &session]].concat()).await;
        assert!(said.contains(&format!("Reused, {said_version}")), "{said}");
    }
    let (went_well, said) = openssl(addr, &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]).await;
    assert!(!went_well && said.contains("alert handshake failure"), "{said}");
}
