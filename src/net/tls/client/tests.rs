//! The client's handshake with a server of ours, and with peers that are none.

use std::sync::Arc;

use rustls::ClientConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;
use crate::error::{Error, ErrorKind, Phase, Result};
use crate::message::{TlsInfo, TlsVersion};
use crate::net::Stream;
use crate::net::stream::{Secured, TlsAccept};
use crate::net::tls::certificate::Certificate;
use crate::net::tls::server::{ClientAuth, TlsServerConfig};
use certificates::{Authority, Issued};

#[path = "../../../../tests/support/certificates.rs"]
mod certificates;

const H2: &[u8] = b"h2";
const HTTP_11: &[u8] = b"http/1.1";

fn pair(issued: &Issued) -> Certificate {
    Certificate::from_pem(&issued.certificate, &issued.key).unwrap()
}

fn server(issued: &Issued) -> TlsServerConfig {
    TlsServerConfig::new([pair(issued)]).unwrap()
}

/// Trusts this authority and nobody else.
fn trusting(authority: &Authority) -> TlsConfig {
    TlsConfig::new().roots(TlsRoots::None).add_root_pem(authority.pem()).unwrap()
}

/// What a client and a server know of one session. The server has said `hello` in it.
struct Session {
    ours: Arc<TlsInfo>,
    theirs: Arc<TlsInfo>,
}

/// Connects to a server that speaks these protocols.
async fn meet(
    client: &TlsConnector,
    host: &str,
    offer: AlpnOffer,
    server: &TlsServerConfig,
    protocols: &[&[u8]],
) -> Result<Session> {
    let (ours, theirs) = duplex(1 << 16);
    let acceptor = server.acceptor(protocols).unwrap();
    let serving = tokio::spawn(async move { greet(&*acceptor, theirs).await });
    let (mut stream, ours) = client.connect(Box::new(ours), host, offer).await?;
    let mut heard = String::new();
    stream.read_to_string(&mut heard).await?;
    assert_eq!(heard, "hello");
    Ok(Session { ours, theirs: serving.await.unwrap().unwrap() })
}

async fn greet(acceptor: &dyn TlsAccept, stream: DuplexStream) -> Option<Arc<TlsInfo>> {
    let Secured { mut stream, info } = acceptor.secure(Box::new(stream), &Default::default()).await.ok()?;
    stream.write_all(b"hello").await.ok()?;
    stream.shutdown().await.ok()?;
    Some(info)
}

/// Connects to a server of HTTP/1.1.
async fn visit(client: TlsConfig, host: &str, tls: &TlsServerConfig) -> Result<Session> {
    meet(&TlsConnector::new(client), host, AlpnOffer::Http1, tls, &[HTTP_11]).await
}

async fn refused(client: TlsConfig, host: &str, tls: &TlsServerConfig) -> String {
    let Err(error) = visit(client, host, tls).await else { panic!("a session came about") };
    text(&error)
}

/// The text of an error of a handshake.
fn text(error: &Error) -> String {
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Tls, Some(Phase::Tls)), "{error}");
    error.to_string().strip_suffix(" (while in the TLS handshake)").unwrap().to_owned()
}

#[tokio::test]
async fn both_sides_know_what_was_agreed_on() {
    let authority = Authority::new("ca");
    let issued = authority.issue(&["a.test"]);
    let session = visit(trusting(&authority), "a.test", &server(&issued)).await.unwrap();
    let Session { ours, theirs } = session;
    assert_eq!((ours.version, theirs.version), (TlsVersion::Tls13, TlsVersion::Tls13));
    assert_eq!((ours.cipher_suite, ours.alpn.as_deref()), (theirs.cipher_suite, Some(HTTP_11)));
    assert_eq!((ours.server_name.as_deref(), theirs.server_name.as_deref()), (Some("a.test"), Some("a.test")));
    assert!(ours.peer_certificates == [issued.der] && theirs.peer_certificates.is_empty());
}

#[tokio::test]
async fn alpn_chooses_a_protocol_that_both_speak() {
    let authority = Authority::new("ca");
    let tls = server(&authority.issue(&["a.test"]));
    let client = TlsConnector::new(trusting(&authority));
    let both: &[&[u8]] = &[H2, HTTP_11];
    for (offer, spoken, chosen) in [
        (AlpnOffer::Http2OrHttp1, both, Some(H2)),
        (AlpnOffer::Http1, both, Some(HTTP_11)),
        (AlpnOffer::Http2, both, Some(H2)),
        (AlpnOffer::Http2OrHttp1, &[HTTP_11], Some(HTTP_11)),
        (AlpnOffer::Http2OrHttp1, &[], None),
    ] {
        let session = meet(&client, "a.test", offer, &tls, spoken).await.unwrap();
        assert_eq!(session.ours.alpn.as_deref(), chosen, "{offer:?} with {spoken:?}");
    }
    let error = meet(&client, "a.test", AlpnOffer::Http2, &tls, &[HTTP_11]).await.err().unwrap();
    assert_eq!(text(&error), "the server has no protocol in common with us (ALPN)");
}

#[tokio::test]
async fn a_session_is_resumed_by_the_same_connector_and_by_no_other() {
    let authority = Authority::new("ca");
    let tls = server(&authority.issue(&["a.test", "b.test"]));
    let acceptor = tls.acceptor(&[HTTP_11]).unwrap();
    let visit = async |client: &TlsConnector, host| {
        let (ours, theirs) = duplex(1 << 16);
        let acceptor = acceptor.clone();
        tokio::spawn(async move { greet(&*acceptor, theirs).await });
        let (mut stream, info) = client.connect(Box::new(ours), host, AlpnOffer::Http1).await.unwrap();
        stream.read_to_end(&mut Vec::new()).await.unwrap();
        info.resumed
    };
    let client = TlsConnector::new(trusting(&authority));
    assert!(!visit(&client, "a.test").await);
    assert!(visit(&client.clone(), "a.test").await);
    assert!(!visit(&client, "b.test").await, "another name");
    assert!(!visit(&TlsConnector::new(trusting(&authority)), "a.test").await, "another connector");
}

#[tokio::test]
async fn a_certificate_that_is_not_valid_is_refused_with_a_plain_reason() {
    let authority = Authority::new("ca");
    let good = server(&authority.issue(&["a.test", "*.b.test"]));
    let stranger = trusting(&Authority::new("another"));
    assert_eq!(
        refused(stranger, "a.test", &good).await,
        "the server's certificate is signed by nobody who is trusted here"
    );
    assert_eq!(
        refused(trusting(&authority), "c.test", &good).await,
        "the server's certificate is for a.test, *.b.test, not for c.test"
    );
    assert_eq!(
        refused(trusting(&authority), "127.0.0.1", &good).await,
        "the server's certificate is for a.test, *.b.test, not for 127.0.0.1"
    );
    let expired = server(&authority.issue_expired(&["a.test"]));
    assert_eq!(
        refused(trusting(&authority), "a.test", &expired).await,
        "the server's certificate expired on Tue, 01 Jan 2002 00:00:00 GMT"
    );
}

#[tokio::test]
async fn a_certificate_that_is_not_valid_is_accepted_with_insecure() {
    let expired = server(&Authority::new("ca").issue_expired(&["a.test"]));
    let careless = TlsConfig::new().danger_accept_invalid_certs(true);
    for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
        let session = visit(careless.clone(), "b.test", &expired.clone().min_version(version)).await.unwrap();
        assert_eq!(session.ours.peer_certificates.len(), 1);
    }
    let careful = careless.danger_accept_invalid_certs(false).roots(TlsRoots::None);
    assert_eq!(refused(careful, "b.test", &expired).await, "no root certificate is trusted: add one");
}

#[tokio::test]
async fn an_address_is_a_name_too_in_brackets_or_without() {
    let authority = Authority::new("ca");
    let tls = server(&authority.issue(&["127.0.0.1", "::1"]));
    for (host, verified) in [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("[::1]", "::1")] {
        let session = visit(trusting(&authority), host, &tls).await.unwrap();
        assert_eq!(session.ours.server_name.as_deref(), Some(verified));
        assert_eq!(session.theirs.server_name, None, "an address is not asked for (RFC 6066 §3)");
    }
}

#[tokio::test]
async fn the_root_of_a_name_is_not_asked_for() {
    let authority = Authority::new("ca");
    let session = visit(trusting(&authority), "a.test.", &server(&authority.issue(&["a.test"]))).await.unwrap();
    assert_eq!(session.theirs.server_name.as_deref(), Some("a.test"));
}

#[tokio::test]
async fn a_name_that_was_set_is_asked_for_and_verified_in_place_of_the_host() {
    let authority = Authority::new("ca");
    let tls = server(&authority.issue(&["a.test"]));
    let session = visit(trusting(&authority).server_name("a.test"), "192.0.2.1", &tls).await.unwrap();
    assert_eq!(session.theirs.server_name.as_deref(), Some("a.test"));
    assert!(refused(trusting(&authority).server_name("b.test"), "a.test", &tls).await.ends_with("not for b.test"));
}

#[tokio::test]
async fn what_is_no_name_is_refused_before_a_byte_is_sent() {
    let (ours, mut theirs) = duplex(64);
    let client = TlsConnector::new(TlsConfig::new());
    let error = client.connect(Box::new(ours), "a b", AlpnOffer::Http1).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(theirs.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_a_server_that_requests_it() {
    let authority = Authority::new("ca");
    let shown = authority.issue_client("me");
    let tls = server(&authority.issue(&["a.test"]));
    let strict = tls.clone().client_auth(ClientAuth::Required).client_roots_pem(authority.pem()).unwrap();
    let client = trusting(&authority).client_certificate(pair(&shown));
    let session = visit(client.clone(), "a.test", &strict).await.unwrap();
    assert!(session.theirs.peer_certificates == [shown.der.clone()]);
    let session = visit(client, "a.test", &tls).await.unwrap();
    assert!(session.theirs.peer_certificates.is_empty(), "nobody asked");

    let mismatched = Certificate::from_pem(&shown.certificate, &authority.issue_client("you").key).unwrap();
    let error = visit(trusting(&authority).client_certificate(mismatched), "a.test", &tls).await.err().unwrap();
    assert!(error.to_string().starts_with("the private key is not that of the certificate"), "{error}");
}

#[tokio::test]
async fn a_server_that_wants_a_client_certificate_says_so_in_tls_1_2_and_behind_the_handshake_in_1_3() {
    let authority = Authority::new("ca");
    let strict = server(&authority.issue(&["a.test"]));
    let strict = strict.client_auth(ClientAuth::Required).client_roots_pem(authority.pem()).unwrap();
    let error = visit(trusting(&authority), "a.test", &strict).await.err().unwrap();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Tls, None));
    assert_eq!(error.to_string(), "the server requires a client certificate");

    let old = ClientConfig::builder_with_provider(super::super::provider::chosen(None).unwrap())
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.der().into()).unwrap();
    let old = TlsConfig::from_rustls_0_23(Arc::new(old.with_root_certificates(roots).with_no_client_auth()));
    assert_eq!(refused(old, "a.test", &strict).await, "the server requires a client certificate");
}

#[tokio::test]
async fn a_configuration_of_rustls_is_taken_as_it_is() {
    let authority = Authority::new("ca");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.der().into()).unwrap();
    let mut theirs = ClientConfig::builder_with_provider(super::super::provider::chosen(None).unwrap())
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    theirs.alpn_protocols = vec![b"own/1".to_vec()];
    let client = TlsConnector::new(TlsConfig::from_rustls_0_23(Arc::new(theirs)));
    let tls = server(&authority.issue(&["a.test"]));
    let session = meet(&client, "a.test", AlpnOffer::Http1, &tls, &[b"own/1"]).await.unwrap();
    assert_eq!((session.ours.version, session.ours.alpn.as_deref()), (TlsVersion::Tls12, Some(&b"own/1"[..])));
}

#[tokio::test]
async fn a_version_below_the_lowest_is_refused() {
    let authority = Authority::new("ca");
    let provider = super::super::provider::chosen(None).unwrap();
    let issued = authority.issue(&["a.test"]);
    let (chain, key) = pair(&issued).to_rustls();
    let old = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let old = TlsServerConfig::from_rustls_0_23(Arc::new(old));
    let session = visit(trusting(&authority), "a.test", &old).await.unwrap();
    assert_eq!(session.ours.version, TlsVersion::Tls12);
    let modern = trusting(&authority).min_version(TlsVersion::Tls13);
    assert_eq!(refused(modern, "a.test", &old).await, "the server has no version of TLS in common with us");
}

#[tokio::test]
async fn an_end_of_the_connection_is_no_end_of_what_is_said_in_it() {
    let authority = Authority::new("ca");
    let acceptor = server(&authority.issue(&["a.test"])).acceptor(&[]).unwrap();
    let (ours, theirs) = duplex(1 << 16);
    tokio::spawn(async move {
        let Ok(Secured { mut stream, .. }) = acceptor.secure(Box::new(theirs), &Default::default()).await else {
            panic!("no session")
        };
        stream.write_all(b"so far").await.unwrap();
        stream.flush().await.unwrap();
    });
    let client = TlsConnector::new(trusting(&authority));
    let (mut stream, _) = client.connect(Box::new(ours), "a.test", AlpnOffer::Http1).await.unwrap();
    let mut heard = Vec::new();
    let error = stream.read_to_end(&mut heard).await.unwrap_err();
    assert_eq!((heard.as_slice(), error.kind()), (&b"so far"[..], std::io::ErrorKind::UnexpectedEof));
    let error = Error::from(error);
    assert_eq!(error.kind(), ErrorKind::CutOff);
    assert_eq!(error.to_string(), "the server closed the connection without ending the TLS session");
}

#[tokio::test]
async fn a_provider_that_was_given_does_the_cryptography() {
    let authority = Authority::new("ca");
    let issued = authority.issue(&["a.test"]);
    let mut rare = rustls::crypto::aws_lc_rs::default_provider();
    rare.cipher_suites.retain(|suite| format!("{:?}", suite.suite()).contains("TLS13_CHACHA20"));
    let rare = Arc::new(rare);
    let cipher = async |client: TlsConfig, tls: &TlsServerConfig| {
        visit(client.min_version(TlsVersion::Tls13), "a.test", tls).await.unwrap().ours.cipher_suite
    };
    let client = trusting(&authority);
    assert_eq!(cipher(client.clone(), &server(&issued)).await, "TLS_AES_256_GCM_SHA384");
    let given = client.clone().provider(rare.clone());
    assert_eq!(cipher(given, &server(&issued)).await, "TLS_CHACHA20_POLY1305_SHA256");
    let tls = TlsServerConfig::with_provider(rare, [pair(&issued)]).unwrap().min_version(TlsVersion::Tls13);
    assert_eq!(cipher(client, &tls).await, "TLS_CHACHA20_POLY1305_SHA256");
}

// ------------------------------------------------------------ peers that do not speak TLS

/// Connects to a peer that says these bytes, in pieces cut here, and closes.
async fn hear(bytes: &[u8], cut: usize) -> String {
    let (ours, mut theirs) = duplex(1 << 16);
    let (first, rest) = bytes.split_at(cut);
    let (first, rest) = (first.to_vec(), rest.to_vec());
    let saying = tokio::spawn(async move {
        theirs.write_all(&first).await.unwrap();
        tokio::task::yield_now().await;
        // It may have heard enough, and closed.
        let _ = theirs.write_all(&rest).await;
        theirs.shutdown().await.unwrap();
        let mut heard = Vec::new();
        theirs.read_to_end(&mut heard).await.unwrap();
        heard
    });
    let client = TlsConnector::new(TlsConfig::new().danger_accept_invalid_certs(true));
    let error = client.connect(Box::new(ours) as Box<dyn Stream>, "a.test", AlpnOffer::Http1).await.err().unwrap();
    let heard = saying.await.unwrap();
    assert_eq!(heard.first(), Some(&22), "a ClientHello");
    let record = 5 + usize::from(u16::from_be_bytes([heard[3], heard[4]]));
    let is_tls = bytes.first().is_none_or(|&byte| byte == 22);
    assert!(is_tls || heard.len() == record, "no alert to who does not speak TLS");
    text(&error)
}

#[tokio::test]
async fn a_server_that_answers_in_plain_http_is_told_from_others_at_every_cut() {
    let answer = b"HTTP/1.1 400 Bad Request\r\n\r\n";
    for cut in 0..8 {
        assert_eq!(hear(answer, cut).await, "server gave HTTP response to HTTPS client", "cut at {cut}");
        let foreign = hear(b"220 mail.test ESMTP\r\n", cut).await;
        assert_eq!(foreign, "the handshake failed: the peer does not speak TLS", "cut at {cut}");
    }
    assert_eq!(hear(b"HTT", 0).await, "the handshake failed: the peer does not speak TLS");
}

#[tokio::test]
async fn a_server_that_closes_in_the_handshake_is_said_to_have() {
    let closed = "the server closed the connection during the handshake";
    assert_eq!(hear(b"", 0).await, closed);
    assert_eq!(hear(&[22, 3, 3, 0, 100, 2], 3).await, closed);
}

#[tokio::test]
async fn an_alert_that_comes_first_is_no_plain_text() {
    // unrecognized_name (RFC 6066 §3), fatal.
    assert_eq!(hear(&[21, 3, 3, 0, 2, 2, 112], 2).await, "the server does not know the name that it was asked for");
}

// ------------------------------------------------------------ roots

#[tokio::test]
async fn a_malformed_root_is_found_at_the_first_connection() {
    let authority = Authority::new("ca");
    let tls = server(&authority.issue(&["a.test"]));
    let error = visit(TlsConfig::new().add_root_der(*b"garbage"), "a.test", &tls).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(TlsConfig::new().add_root_pem("garbage").is_err());
    assert!(visit(trusting(&authority).add_root_der(authority.der()), "a.test", &tls).await.is_ok());
}

/// Runs an ignored test in a process of its own, with this environment.
fn run_apart(name: &str, environment: &[(&str, &std::path::Path)]) {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("net::tls::client::tests::{name}"), "--ignored", "--nocapture"])
        .env_remove("SSL_CERT_DIR")
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// A path that is not there yet.
fn new_path(name: &str) -> std::path::PathBuf {
    std::env::temp_dir().join(format!("nethttp-{}-{name}", std::process::id()))
}

/// The roots of the system are looked for where an environment variable says.
#[test]
#[cfg(all(feature = "tls", target_os = "linux"))]
fn a_system_without_roots_is_an_error_that_names_the_fixes() {
    run_apart("without_roots_of_the_system", &[("SSL_CERT_FILE", &new_path("no-roots"))]);
}

#[test]
#[cfg(all(feature = "tls", target_os = "linux"))]
fn the_roots_of_the_system_are_trusted_by_default() {
    let (roots, site) = (new_path("roots.pem"), new_path("site.pem"));
    let authority = Authority::new("ca");
    let issued = authority.issue(&["a.test"]);
    std::fs::write(&roots, authority.pem()).unwrap();
    std::fs::write(&site, issued.certificate + &issued.key).unwrap();
    run_apart("with_these_roots_of_the_system", &[("SSL_CERT_FILE", &roots), ("SITE", &site)]);
    std::fs::remove_file(roots).unwrap();
    std::fs::remove_file(site).unwrap();
}

#[cfg(all(feature = "tls", target_os = "linux"))]
#[tokio::test]
#[ignore = "run in a process of its own"]
async fn with_these_roots_of_the_system() {
    let site = std::env::var_os("SITE").unwrap();
    let tls = TlsServerConfig::from_pem_files(&site, &site).unwrap();
    visit(TlsConfig::new(), "a.test", &tls).await.unwrap();
    // Loaded once for the process: what comes later is not looked at.
    std::fs::write(std::env::var_os("SSL_CERT_FILE").unwrap(), "").unwrap();
    visit(TlsConfig::new(), "a.test", &tls).await.unwrap();
    let stranger = server(&Authority::new("another").issue(&["a.test"]));
    let nobody = "the server's certificate is signed by nobody who is trusted here";
    assert_eq!(refused(TlsConfig::new(), "a.test", &stranger).await, nobody);
}

#[cfg(all(feature = "tls", target_os = "linux", not(feature = "webpki-roots")))]
#[tokio::test]
#[ignore = "run in a process of its own"]
async fn without_roots_of_the_system() {
    let authority = Authority::new("ca");
    let tls = server(&authority.issue(&["a.test"]));
    let error = refused(TlsConfig::new(), "a.test", &tls).await;
    for fix in ["ca-certificates", "SSL_CERT_FILE", "TlsConfig", "webpki-roots"] {
        assert!(error.contains(fix), "{error}");
    }
    let own = TlsConfig::new().add_root_pem(authority.pem()).unwrap();
    assert!(visit(own, "a.test", &tls).await.is_ok(), "own roots need none of the system's");
    let error = visit(TlsConfig::new().roots(TlsRoots::Mozilla), "a.test", &tls).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[cfg(all(feature = "tls", target_os = "linux", feature = "webpki-roots"))]
#[tokio::test]
#[ignore = "run in a process of its own"]
async fn without_roots_of_the_system() {
    let tls = server(&Authority::new("ca").issue(&["a.test"]));
    for roots in [TlsRoots::Platform, TlsRoots::Mozilla] {
        let error = refused(TlsConfig::new().roots(roots), "a.test", &tls).await;
        assert_eq!(error, "the server's certificate is signed by nobody who is trusted here");
    }
}

#[test]
fn the_keys_of_sessions_are_written_where_that_is_wanted() {
    let path = new_path("keys");
    run_apart("with_a_key_log", &[("SSLKEYLOGFILE", &path)]);
    let written = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(written.matches("CLIENT_TRAFFIC_SECRET_0").count(), 2, "once by each side that wanted it");
}

#[tokio::test]
#[ignore = "run in a process of its own"]
async fn with_a_key_log() {
    let authority = Authority::new("ca");
    let tls = server(&authority.issue(&["a.test"]));
    let client = trusting(&authority);
    visit(client.clone(), "a.test", &tls).await.unwrap();
    visit(client.key_log(true), "a.test", &tls.key_log(true)).await.unwrap();
}

#[test]
fn what_is_offered_is_chosen_here_and_foreign_entries_stay() {
    let own = [b"http/1.1".to_vec(), b"acme/1".to_vec(), b"h2".to_vec()];
    let list = |offer: AlpnOffer, own: &[Vec<u8>]| {
        offer.among(own).iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(list(AlpnOffer::Http2OrHttp1, &[]), "h2 http/1.1");
    assert_eq!(list(AlpnOffer::Http1, &own), "http/1.1 acme/1");
    assert_eq!(list(AlpnOffer::Http2, &own), "h2 acme/1");
}
