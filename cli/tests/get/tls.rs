//! Whom the command trusts.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;

use nethttp::tls::TlsServerConfig;
use nethttp::{Request, Response, StatusCode, respond};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};

use crate::support::{Folder, Site, get, noting};

/// A certificate for a.test, and the PEM of who signed it.
fn config() -> (TlsServerConfig, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["a.test".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    (TlsServerConfig::from_pem(certificate.pem(), key.serialize_pem()).unwrap(), authority.pem())
}

/// A server with that certificate, and the PEM of who signed it.
fn secure() -> (Site, String) {
    let (config, authority) = config();
    (Site::start_with(respond(async |_: &mut Request| "secret"), Some(config)), authority)
}

#[test]
fn a_certificate_is_trusted_when_its_issuer_is() {
    let ((site, authority), folder) = (secure(), Folder::new());
    folder.write("ca.pem", authority);
    let port = site.address.port();
    let place = &format!("a.test:{port}:127.0.0.1");
    let url = format!("https://a.test:{port}/");
    let ended = folder.get(&["--resolve", place, &url]);
    assert_eq!((ended.is(6).stdout(), ended.stderr().lines().count()), ("", 1));
    folder.get(&["--cacert", "ca.pem", "--resolve", place, &url]).says("secret");
    folder.get(&["--insecure", "--resolve", place, &url]).says("secret");
    // It is for another name.
    folder.get(&["--cacert", "ca.pem", &format!("https://127.0.0.1:{port}/")]).is(6);
    let ended = folder.get(&["--trace", "--cacert", "ca.pem", "--resolve", place, &url]);
    assert!(ended.is(0).stderr().contains("\n  TLS "), "{}", ended.stderr());
}

#[test]
fn tls_chooses_the_protocol_unless_one_is_asked_for() {
    let ((site, _), url) = (secure(), |port| format!("https://127.0.0.1:{port}/"));
    for (arguments, version) in [(&["-ki"][..], "HTTP/2.0 200\r\n"), (&["-ki", "--http1.1"][..], "HTTP/1.1 200 OK\r\n")]
    {
        let ended = get(&[arguments, &[&url(site.address.port())]].concat());
        assert!(ended.is(0).stdout().starts_with(version), "{}", ended.stdout());
    }
}

/// A proxy that lets one connection through, wherever it was to go. Answers with what it was asked.
fn tunnel_to(target: SocketAddr) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let proxy = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte).unwrap() > 0 {
            head.push(byte[0]);
        }
        let mut server = TcpStream::connect(target).unwrap();
        client.write_all(b"HTTP/1.1 200 Established\r\n\r\n").unwrap();
        let (mut up, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        let upwards = std::thread::spawn(move || {
            // Either side may end it.
            let _ = std::io::copy(&mut up, &mut to);
            let _ = to.shutdown(Shutdown::Both);
        });
        let _ = std::io::copy(&mut server, &mut client);
        let _ = client.shutdown(Shutdown::Both);
        upwards.join().unwrap();
        String::from_utf8(head).unwrap()
    });
    (address, proxy)
}

#[test]
fn tls_goes_through_a_proxy_end_to_end() {
    let ((site, authority), folder) = (secure(), Folder::new());
    folder.write("ca.pem", authority);
    let (address, proxy) = tunnel_to(site.address);
    let proxy_url = format!("http://me:secret@{address}");
    let ended = folder.get(&["-v", "--cacert", "ca.pem", "-x", &proxy_url, "https://a.test/"]);
    assert_eq!(ended.is(0).stdout(), "secret");
    assert!(!ended.stderr().contains("secret"), "{}", ended.stderr());
    let head = proxy.join().unwrap();
    assert!(head.starts_with("CONNECT a.test:443 HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nProxy-Authorization: Basic bWU6c2VjcmV0\r\n"), "{head}");
}

#[test]
fn a_certificate_is_shown_to_a_server_that_asks_for_one() {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["client.test".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let config = config().0.client_auth(nethttp::tls::ClientAuth::Required).client_roots_pem(authority.pem()).unwrap();
    let site = Site::start_with(respond(async |_: &mut Request| "secret"), Some(config));
    let (folder, url) = (Folder::new(), format!("https://127.0.0.1:{}/", site.address.port()));
    folder.write("c.pem", certificate.pem());
    folder.write("c.key", key.serialize_pem());
    folder.write("both.pem", certificate.pem() + &key.serialize_pem());
    folder.get(&["-k", "--cert", "c.pem", "--key", "c.key", &url]).says("secret");
    folder.get(&["-k", "-E", "both.pem", &url]).says("secret");
    assert_ne!(folder.get(&["-k", &url]).code(), 0);
    assert!(folder.get(&["-k", "--cert", "c.pem", &url]).is(1).stderr().contains("--cert: "));
    folder.get(&["-k", "--key", "c.key", &url]).is(2);
}

#[test]
fn a_password_of_netrc_does_not_follow_a_redirect_out_of_tls() {
    let (plain, log) = noting();
    let target = plain.url("/");
    let redirect = move |_: &mut Request| {
        let target = target.clone();
        async move { Response::new("").with_status(StatusCode::FOUND).with_header("Location", target) }
    };
    let site = Site::start_with(respond(redirect), Some(config().0));
    let folder = Folder::new();
    folder.write("netrc", "default login me password secret");
    let url = format!("https://127.0.0.1:{}/", site.address.port());
    folder.get(&["-kL", "--netrc-file", "netrc", &url]).says("ok");
    assert_eq!(log.only().field("Authorization"), None);
    folder.get(&["--netrc-file", "netrc", &plain.url("/")]).says("ok");
    assert!(log.only().header.contains("Authorization"));
}

#[test]
fn a_file_of_certificates_that_is_none_is_1() {
    let folder = Folder::new();
    folder.write("none.pem", "no certificate");
    for name in ["none.pem", "missing.pem"] {
        let ended = folder.get(&["--cacert", name, "https://a.test/"]);
        assert!(ended.is(1).stderr().starts_with(&format!("nethttp: {name}: ")), "{}", ended.stderr());
    }
}

#[test]
fn a_server_without_tls_is_6() {
    let site = Site::answering(|_| nethttp::Response::new("plain"));
    get(&[&site.url("/").replace("http:", "https:")]).is(6);
}
