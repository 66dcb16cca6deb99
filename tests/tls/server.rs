//! Serving over TLS: what is agreed on, who may come in, what happens to those who stall, and how a
//! session ends.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nethttp::error::Phase;
use nethttp::server::{CloseReason, ServerEvent};
use nethttp::testing::{self, Dialer};
use nethttp::tls::{Certificate, ClientAuth, TlsServerConfig, TlsVersion};
use nethttp::{ErrorKind, Handler, Request, ResponseWriter, Result, Server, handle_with};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::certificates::{Authority, Issued};
use crate::support::{End, GET, Peer, States, dial, echo, hello, millis, quiet, secs, settle};

const CLOSING: &str = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

/// A server over TLS in a task of its own, and what it reports.
struct Site {
    server: Server,
    dialer: Dialer,
    serving: JoinHandle<Result<()>>,
    states: States,
    events: Arc<Mutex<Vec<String>>>,
}

impl Site {
    fn start(server: Server, tls: &TlsServerConfig) -> Site {
        let mut server = server;
        let states = States::of(&mut server);
        let events: Arc<Mutex<Vec<String>>> = Arc::default();
        let told = events.clone();
        server.on_event = Some(Arc::new(move |event: &ServerEvent| {
            assert!(!event.is_own_fault(), "{event}");
            told.lock().unwrap().push(event.to_string());
        }));
        let (listener, dialer) = testing::listener();
        let (clone, tls) = (server.clone(), tls.clone());
        let serving = tokio::spawn(async move { clone.serve_tls(listener, &tls).await });
        Site { server, dialer, serving, states, events }
    }

    /// Does a handshake with the server, asking for this name.
    async fn secure(&self, config: &ClientConfig, name: &str) -> io::Result<TlsStream<DuplexStream>> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let stream = self.dialer.dial().await.unwrap();
        TlsConnector::from(Arc::new(config.clone())).connect(name, stream).await
    }

    /// Asks once, on a connection of its own.
    async fn ask(&self, config: &ClientConfig, name: &str) -> String {
        let mut stream = self.secure(config, name).await.unwrap();
        stream.write_all(CLOSING.as_bytes()).await.unwrap();
        content(&read_to_end(&mut stream).await.unwrap())
    }

    async fn dial(&self) -> Peer {
        dial(&self.dialer).await
    }

    /// What was reported so far, once the server has nothing to do.
    async fn events(&self) -> String {
        settle().await;
        self.events.lock().unwrap().join("\n")
    }
}

/// A server with a certificate for `a.test` that `authority` has signed.
fn site(authority: &Authority, handler: impl Handler) -> Site {
    Site::start(quiet(handler), &config(&[&authority.issue(&["a.test"])]))
}

fn config(issued: &[&Issued]) -> TlsServerConfig {
    TlsServerConfig::new(issued.iter().map(|issued| pair(issued))).unwrap()
}

fn pair(issued: &Issued) -> Certificate {
    Certificate::from_pem(&issued.certificate, &issued.key).unwrap()
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// A client of rustls' own that trusts this authority.
fn trusting(authority: &Authority) -> ClientConfig {
    client(authority, rustls::ALL_VERSIONS, None)
}

fn client(
    authority: &Authority,
    versions: &[&'static rustls::SupportedProtocolVersion],
    shown: Option<&Issued>,
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().into()).unwrap();
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    match shown {
        None => builder.with_no_client_auth(),
        Some(shown) => builder
            .with_client_auth_cert(
                vec![CertificateDer::from(shown.der.clone())],
                PrivateKeyDer::from_pem_slice(shown.key.as_bytes()).unwrap(),
            )
            .unwrap(),
    }
}

fn offering(mut config: ClientConfig, protocols: &[&str]) -> ClientConfig {
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

async fn read_to_end(stream: &mut TlsStream<DuplexStream>) -> io::Result<String> {
    let mut read = Vec::new();
    stream.read_to_end(&mut read).await?;
    Ok(String::from_utf8(read).unwrap())
}

fn content(answer: &str) -> String {
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// Says what the request knows of its session, in one line.
async fn facts(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let Some(tls) = &r.tls else { return w.write("none").await };
    let alpn = tls.alpn.as_deref().map(|name| String::from_utf8_lossy(name).into_owned());
    let (version, shown) = (tls.version, tls.peer_certificates.len());
    let name = tls.server_name.as_deref();
    w.write(format!("{version:?} {} {alpn:?} {name:?} {shown} {}", tls.cipher_suite, tls.resumed)).await
}

// ------------------------------------------------------------ what is agreed on

#[tokio::test(start_paused = true)]
async fn a_request_has_the_tls_session_that_it_came_over() {
    let authority = Authority::new("ca");
    let site = site(&authority, facts);
    let modern = offering(trusting(&authority), &["http/1.1"]);
    let expected = "Tls13 TLS_AES_256_GCM_SHA384 Some(\"http/1.1\") Some(\"a.test\") 0 false";
    assert_eq!(site.ask(&modern, "a.test").await, expected);
    let old = client(&authority, &[&rustls::version::TLS12], None);
    let expected = "Tls12 TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 None Some(\"a.test\") 0 false";
    assert_eq!(site.ask(&old, "a.test").await, expected);
    assert_eq!(site.events().await, "");
}

#[tokio::test(start_paused = true)]
async fn a_request_in_the_clear_has_no_session_not_even_that_of_one_before_in_its_scratch() {
    let authority = Authority::new("ca");
    let site = site(&authority, facts);
    assert_ne!(site.ask(&trusting(&authority), "a.test").await, "none");
    let (listener, dialer) = testing::listener();
    let clone = site.server.clone();
    tokio::spawn(async move { clone.serve(listener).await });
    assert_eq!(dial(&dialer).await.ask(GET).await.content, "none");
}

#[tokio::test(start_paused = true)]
async fn a_session_without_the_post_quantum_exchange_would_be_noticed() {
    let authority = Authority::new("ca");
    let site = site(&authority, hello);
    let stream = site.secure(&trusting(&authority), "a.test").await.unwrap();
    let group = stream.get_ref().1.negotiated_key_exchange_group().unwrap();
    assert_eq!(group.name(), rustls::NamedGroup::X25519MLKEM768);
}

#[tokio::test(start_paused = true)]
async fn a_version_below_the_lowest_is_refused() {
    let authority = Authority::new("ca");
    let tls = config(&[&authority.issue(&["a.test"])]).min_version(TlsVersion::Tls13);
    let site = Site::start(quiet(hello), &tls);
    assert_eq!(site.ask(&trusting(&authority), "a.test").await, "hello");
    let old = client(&authority, &[&rustls::version::TLS12], None);
    assert!(site.secure(&old, "a.test").await.is_err());
    let events = site.events().await;
    assert!(events.starts_with("no TLS session with memory client 2: no version of TLS in common"), "{events}");
    sleep(secs(1)).await;
    assert_eq!(site.states.reason(2), Some(CloseReason::HandshakeFailed));
}

#[tokio::test(start_paused = true)]
async fn alpn_chooses_what_the_server_speaks_and_needs_no_choice() {
    let authority = Authority::new("ca");
    let site = site(&authority, hello);
    for (offer, chosen) in
        [(&["http/1.1"][..], Some(&b"http/1.1"[..])), (&["spdy/1", "http/1.1"], Some(b"http/1.1")), (&[], None)]
    {
        let stream = site.secure(&offering(trusting(&authority), offer), "a.test").await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), chosen, "{offer:?}");
    }
    assert!(site.secure(&offering(trusting(&authority), &["spdy/1"]), "a.test").await.is_err());
    let events = site.events().await;
    assert!(events.contains("client 4: no protocol in common with the client (ALPN)"), "{events}");
}

// RFC 9113 §3.4: a connection error, which a client of HTTP/2 can read, and no response of HTTP/1.1.
#[cfg(feature = "http2")]
#[tokio::test(start_paused = true)]
async fn what_is_no_preface_where_http2_was_agreed_on_is_told_so_in_goaway() {
    let authority = Authority::new("ca");
    let site = site(&authority, hello);
    for bytes in ["GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nXX"] {
        let mut stream = site.secure(&offering(trusting(&authority), &["h2"]), "a.test").await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        stream.write_all(bytes.as_bytes()).await.unwrap();
        let mut read = Vec::new();
        stream.read_to_end(&mut read).await.unwrap();
        let (mut rest, mut frames) = (&read[..], Vec::new());
        while let Some((head, after)) = rest.split_at_checked(9) {
            let (payload, after) = after.split_at(usize::from(head[1]) << 8 | usize::from(head[2]));
            frames.push((head[3], payload));
            rest = after;
        }
        const SETTINGS: u8 = 4;
        const GOAWAY: u8 = 7;
        assert_eq!(frames.first().map(|frame| frame.0), Some(SETTINGS), "{bytes:?}");
        // No stream was looked at, and PROTOCOL_ERROR.
        let (kind, payload) = frames.last().unwrap();
        assert_eq!((*kind, &payload[..8]), (GOAWAY, &[0, 0, 0, 0, 0, 0, 0, 1][..]), "{bytes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_is_resumed_and_the_request_shows_it() {
    let authority = Authority::new("ca");
    let shown = authority.issue_client("me");
    for versions in [&[&rustls::version::TLS13][..], &[&rustls::version::TLS12]] {
        let tls = config(&[&authority.issue(&["a.test"])]);
        let tls = tls.client_auth(ClientAuth::Optional).client_roots_pem(authority.pem()).unwrap();
        let site = Site::start(quiet(facts), &tls);
        let config = client(&authority, versions, Some(&shown));
        let first = site.ask(&config, "a.test").await;
        assert!(first.ends_with("1 false"), "{first}");
        let second = site.ask(&config, "a.test").await;
        assert!(second.ends_with("1 true"), "with the client's certificate of then: {second}");
    }
}

#[tokio::test(start_paused = true)]
async fn content_of_a_megabyte_comes_back_as_it_went() {
    let authority = Authority::new("ca");
    let site = site(&authority, echo);
    let sent: Vec<u8> = (0..1 << 20).map(|at: u32| (at * 7 % 251) as u8).collect();
    let stream = site.secure(&trusting(&authority), "a.test").await.unwrap();
    let (mut reader, mut writer) = tokio::io::split(stream);
    let head = format!("POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", sent.len());
    let content = sent.clone();
    let writing = tokio::spawn(async move {
        writer.write_all(head.as_bytes()).await.unwrap();
        writer.write_all(&content).await.unwrap();
        writer.flush().await.unwrap();
        writer
    });
    let mut answer = Vec::new();
    reader.read_to_end(&mut answer).await.unwrap();
    let content = answer.strip_suffix(b"\r\n0\r\n\r\n").unwrap();
    assert!(content.ends_with(&sent), "in one chunk");
    writing.await.unwrap();
}

// ------------------------------------------------------------ certificates

/// The certificate that is shown to a client that names this host.
async fn shown(site: &Site, authority: &Authority, name: &str) -> Vec<u8> {
    let mut config = trusting(authority);
    let any = Arc::new(Any(provider()));
    config.dangerous().set_certificate_verifier(any);
    let stream = site.secure(&config, name).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

#[derive(Debug)]
struct Any(Arc<rustls::crypto::CryptoProvider>);

impl rustls::client::danger::ServerCertVerifier for Any {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[tokio::test(start_paused = true)]
async fn the_name_that_is_asked_for_chooses_the_certificate_and_the_first_is_for_all_else() {
    let authority = Authority::new("ca");
    let first = authority.issue(&["first.test"]);
    let wild = authority.issue(&["*.wild.test", "Other.test"]);
    let exact = authority.issue(&["exact.wild.test"]);
    let site = Site::start(quiet(hello), &config(&[&first, &wild, &exact]));
    for (name, expected) in [
        ("first.test", &first),
        ("any.wild.test", &wild),
        ("ANY.Wild.Test", &wild),
        ("other.test", &wild),
        ("exact.wild.test", &exact),
        ("wild.test", &first),
        ("deep.any.wild.test", &first),
        ("unknown.test", &first),
        ("127.0.0.1", &first),
    ] {
        assert!(shown(&site, &authority, name).await == expected.der, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_certificates_for_a_name_the_first_is_shown_that_the_client_can_deal_with() {
    let authority = Authority::new("ca");
    let edwards = authority.issue_with(&["a.test"], &rcgen::PKCS_ED25519);
    let common = authority.issue(&["a.test"]);
    let site = Site::start(quiet(facts), &config(&[&edwards, &common]));
    assert!(shown(&site, &authority, "a.test").await == edwards.der);

    // A client that verifies nothing but ECDSA.
    let mut narrow = rustls::crypto::aws_lc_rs::default_provider();
    let both = narrow.signature_verification_algorithms;
    let of_ecdsa =
        |(scheme, _): &&(rustls::SignatureScheme, _)| *scheme == rustls::SignatureScheme::ECDSA_NISTP256_SHA256;
    let mapping: Vec<_> = both.mapping.iter().filter(of_ecdsa).copied().collect();
    narrow.signature_verification_algorithms.mapping = mapping.leak();
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().into()).unwrap();
    let narrow = ClientConfig::builder_with_provider(Arc::new(narrow))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = site.secure(&narrow, "a.test").await.unwrap();
    assert!(stream.get_ref().1.peer_certificates().unwrap()[0].as_ref() == common.der);
}

#[tokio::test(start_paused = true)]
async fn reloaded_certificates_are_shown_from_then_on_and_open_connections_go_on() {
    let authority = Authority::new("ca");
    let (old, new) = (authority.issue(&["a.test"]), authority.issue(&["a.test"]));
    let tls = config(&[&old]);
    let site = Site::start(quiet(hello), &tls);
    let mut open = site.secure(&trusting(&authority), "a.test").await.unwrap();
    assert!(shown(&site, &authority, "a.test").await == old.der);

    tls.reload([pair(&new)]).unwrap();
    assert!(shown(&site, &authority, "a.test").await == new.der);
    open.write_all(CLOSING.as_bytes()).await.unwrap();
    assert!(read_to_end(&mut open).await.unwrap().ends_with("hello"));
}

#[tokio::test(start_paused = true)]
async fn certificates_that_cannot_be_used_leave_the_last_good_ones() {
    let authority = Authority::new("ca");
    let (good, other) = (authority.issue(&["a.test"]), authority.issue(&["a.test"]));
    let tls = config(&[&good]);
    let site = Site::start(quiet(hello), &tls);

    let mismatched = Certificate::from_pem(&other.certificate, &good.key).unwrap();
    let error = tls.reload([pair(&other), mismatched]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(error.to_string(), "the private key is not that of the certificate");
    let garbage = Certificate::from_der([b"garbage".to_vec()], pem_to_der(&good.key)).unwrap();
    assert_eq!(tls.reload([garbage]).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(tls.reload([]).unwrap_err().to_string(), "a server needs a certificate");
    let error = tls.reload_pem_files("/nowhere/a.pem", "/nowhere/a.key").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().starts_with("cannot read /nowhere/a.pem: "), "{error}");
    assert!(shown(&site, &authority, "a.test").await == good.der);
}

fn pem_to_der(key: &str) -> Vec<u8> {
    PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap().secret_der().to_vec()
}

#[test]
fn files_that_are_not_what_they_should_be_are_named() {
    let issued = Authority::new("ca").issue(&["a.test"]);
    let error = |certificate: &str, key: &str| Certificate::from_pem(certificate, key).unwrap_err().to_string();
    assert_eq!(error("", &issued.key), "there is no BEGIN CERTIFICATE");
    assert_eq!(error(&issued.certificate, &issued.certificate), "there is no BEGIN PRIVATE KEY");
    let encrypted = issued.key.replace("PRIVATE", "ENCRYPTED PRIVATE");
    assert_eq!(error(&issued.certificate, &encrypted), "the private key is encrypted: decrypt it first");
    let torn = &issued.certificate[..issued.certificate.len() / 2];
    assert!(error(torn, &issued.key).starts_with("a certificate is no well-formed PEM"), "torn");

    let folder = std::env::temp_dir().join(format!("nethttp-tls-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (both, empty) = (folder.join("both.pem"), folder.join("empty.pem"));
    std::fs::write(&both, format!("{}{}", issued.key, issued.certificate)).unwrap();
    std::fs::write(&empty, "").unwrap();
    assert!(TlsServerConfig::from_pem_files(&both, &both).is_ok(), "one file may hold both");
    let error = Certificate::from_pem_files(&both, &empty).unwrap_err();
    assert_eq!(error.to_string(), format!("{}: there is no BEGIN PRIVATE KEY", empty.display()));
    std::fs::remove_dir_all(&folder).unwrap();
}

// ------------------------------------------------------------ client certificates

#[tokio::test(start_paused = true)]
async fn an_optional_client_certificate_may_be_missing_and_is_verified_when_it_is_not() {
    let authority = Authority::new("ca");
    let tls = config(&[&authority.issue(&["a.test"])]);
    let tls = tls.client_auth(ClientAuth::Optional).client_roots_pem(authority.pem()).unwrap();
    let shown = authority.issue_client("me");
    let expected = shown.der.clone();
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        let certificates = r.tls.as_ref().unwrap().peer_certificates.clone();
        w.write(certificates.iter().map(|der| format!("{der:x}")).collect::<String>()).await
    };
    let site = Site::start(quiet(handler), &tls);
    assert_eq!(site.ask(&trusting(&authority), "a.test").await, "");
    let versions = rustls::ALL_VERSIONS;
    let answer = site.ask(&client(&authority, versions, Some(&shown)), "a.test").await;
    assert_eq!(answer, expected.iter().map(|byte| format!("{byte:02x}")).collect::<String>());

    let stranger = Authority::new("another").issue_client("me");
    assert_refused(&site, &client(&authority, versions, Some(&stranger)), "UnknownCA").await;
    let events = site.events().await;
    assert!(events.contains("client 3: the client's certificate is signed by nobody who is trusted here"), "{events}");
}

#[tokio::test(start_paused = true)]
async fn a_required_client_certificate_may_not_be_missing() {
    let authority = Authority::new("ca");
    let tls = config(&[&authority.issue(&["a.test"])]);
    let tls = tls.client_auth(ClientAuth::Required).client_roots_pem(authority.pem()).unwrap();
    let site = Site::start(quiet(facts), &tls);
    let shown = authority.issue_client("me");
    let answer = site.ask(&client(&authority, rustls::ALL_VERSIONS, Some(&shown)), "a.test").await;
    assert!(answer.ends_with(" 1 false"), "{answer}");
    assert_refused(&site, &trusting(&authority), "CertificateRequired").await;
    let events = site.events().await;
    assert!(events.contains("client 2: the client sent no certificate"), "{events}");
}

/// In TLS 1.3 a client has sent its request before it gets the refusal.
async fn assert_refused(site: &Site, config: &ClientConfig, alert: &str) {
    let mut stream = site.secure(config, "a.test").await.unwrap();
    stream.write_all(GET.as_bytes()).await.unwrap();
    let error = read_to_end(&mut stream).await.unwrap_err().to_string();
    assert!(error.contains(alert), "{error}");
}

#[tokio::test]
async fn client_certificates_without_roots_are_refused_as_a_configuration_at_once() {
    let tls = config(&[&Authority::new("ca").issue(&["a.test"])]).client_auth(ClientAuth::Required);
    let (listener, _dialer) = testing::listener();
    let error = quiet(hello).serve_tls(listener, &tls).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

// ------------------------------------------------------------ peers that stall, or speak something else

#[tokio::test(start_paused = true)]
async fn stalled_handshakes_do_not_delay_a_fresh_request() {
    let authority = Authority::new("ca");
    let site = site(&authority, hello);
    let mut stalled = Vec::new();
    for number in 0..50 {
        let mut peer = site.dial().await;
        // None, a part or a whole record's head of a ClientHello.
        peer.send(&[22, 3, 1, 2, 0, 1][..number % 7]).await;
        stalled.push(peer);
    }
    sleep(secs(3)).await;
    let began = Instant::now();
    assert_eq!(site.ask(&trusting(&authority), "a.test").await, "hello");
    assert!(began.elapsed() < millis(1), "{:?}", began.elapsed());
    assert_eq!(site.server.connections(), 50);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_silent_or_drips_in_the_handshake_is_closed_10_s_after_accept() {
    let authority = Authority::new("ca");
    let site = site(&authority, hello);
    assert_eq!(site.dial().await.end().await, End::silent(secs(10)));
    let hello = "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}\u{7c}\u{3}\u{3}aaaaaaaaaaaaaaaaa";
    assert_eq!(site.dial().await.drip(hello, secs(1)).await, End::silent(secs(10)));
    let events = site.events().await;
    let line = |number| format!("no TLS session with memory client {number}: timed out (while in the TLS handshake)");
    assert_eq!(events, format!("{}\n{}", line(1), line(2)));
    assert_eq!(site.states.reason(1), Some(CloseReason::HeadTimeout));
    assert_eq!(site.states.line(1), "new closed");
}

#[tokio::test(start_paused = true)]
async fn the_handshake_and_the_first_head_share_one_deadline() {
    let authority = Authority::new("ca");
    let site = site(&authority, hello);
    let began = Instant::now();
    let stream = site.dialer.dial().await.unwrap();
    sleep(secs(4)).await;
    let name = ServerName::try_from("a.test").unwrap();
    let mut stream = TlsConnector::from(Arc::new(trusting(&authority))).connect(name, stream).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    assert_eq!(read_to_end(&mut stream).await.unwrap(), "", "and the session is closed in order");
    assert_eq!(began.elapsed(), secs(10));
    assert_eq!(site.events().await, "");
}

#[tokio::test(start_paused = true)]
async fn the_handshake_event_is_typed() {
    let authority = Authority::new("ca");
    let mut server = quiet(hello);
    server.read_header_timeout = secs(2);
    let seen: Arc<Mutex<Vec<_>>> = Arc::default();
    let told = seen.clone();
    server.on_event = Some(Arc::new(move |event: &ServerEvent| {
        if let ServerEvent::HandshakeFailed { remote_addr, error } = event {
            told.lock().unwrap().push((remote_addr.to_string(), error.kind(), error.phase(), error.is_timeout()));
        }
    }));
    let (listener, dialer) = testing::listener();
    let tls = config(&[&authority.issue(&["a.test"])]);
    tokio::spawn(async move { server.serve_tls(listener, &tls).await });
    assert_eq!(dial(&dialer).await.end().await.at, secs(2));
    drop(dial(&dialer).await);
    settle().await;
    let expected = [
        ("memory client 1".to_owned(), ErrorKind::TimedOut, Some(Phase::Tls), true),
        ("memory client 2".to_owned(), ErrorKind::Tls, Some(Phase::Tls), false),
    ];
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_request_in_the_clear_is_answered_400_at_every_cut() {
    let site = site(&Authority::new("ca"), hello);
    for method in ["GET", "HEAD", "POST", "PUT", "OPTIONS", "DELETE", "PATCH", "CONNECT", "TRACE"] {
        let request = format!("{method} / HTTP/1.1\r\nHost: h\r\n\r\n");
        for cut in 0..8 {
            let mut peer = site.dial().await;
            peer.send(&request[..cut]).await;
            settle().await;
            peer.send(&request[cut..]).await;
            let answer = peer.answer().await;
            assert_eq!((answer.status, answer.closes()), (400, true), "{request:?} cut at {cut}");
            assert_eq!(answer.content, "400 Bad Request: client sent an HTTP request to an HTTPS server\n");
        }
    }
    let events = site.events().await;
    let first = events.lines().next().unwrap();
    assert_eq!(first, "refused bytes from memory client 1 with 400: client sent an HTTP request to an HTTPS server");
}

#[tokio::test(start_paused = true)]
async fn a_request_in_the_clear_is_served_where_that_is_allowed_and_knows_of_no_tls() {
    let authority = Authority::new("ca");
    let mut server = quiet(async |w: &mut ResponseWriter, r: &mut Request| {
        w.write(format!("{} {:?}", r.request_uri, r.tls.is_some())).await
    });
    server.allow_http_on_tls_port = true;
    let (listener, dialer) = testing::listener();
    let tls = config(&[&authority.issue(&["a.test"])]);
    tokio::spawn(async move { server.serve_tls(listener, &tls).await });
    let request = "GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    for cut in 0..8 {
        let mut peer = dial(&dialer).await;
        peer.send(&request[..cut]).await;
        settle().await;
        peer.send(&request[cut..]).await;
        let answer = peer.answer().await;
        assert_eq!((answer.status, &*answer.content), (200, "/x false"), "cut at {cut}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_neither_tls_nor_http_gets_no_answer() {
    let site = site(&Authority::new("ca"), hello);
    for bytes in ["SSH-2.0-x\r\n", "get / http/1.1\r\n", "\r\n\r\n\r\n", "GE", ""] {
        let mut peer = site.dial().await;
        peer.send(bytes).await;
        peer.stream.shutdown().await.unwrap();
        assert_eq!(peer.end().await, End::silent(Duration::ZERO), "{bytes:?}");
    }
    let events = site.events().await;
    assert!(events.contains("client 1: the handshake failed: the peer does not speak TLS"), "{events}");
    assert!(events.contains("client 5: the client closed the connection during the handshake"), "{events}");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_for_those_who_have_begun_to_speak_until_their_deadline_and_for_no_others() {
    let authority = Authority::new("ca");
    let site = site(&authority, hello);
    let mut stalled = site.dial().await;
    stalled.send([22, 3, 1]).await;
    let mut silent = site.secure(&trusting(&authority), "a.test").await.unwrap();
    let mut mute = site.dial().await;
    let mut idle = site.secure(&trusting(&authority), "a.test").await.unwrap();
    idle.write_all(GET.as_bytes()).await.unwrap();
    idle.read_buf(&mut Vec::with_capacity(4096)).await.unwrap();
    settle().await;

    let began = Instant::now();
    let server = site.server.clone();
    let ending = tokio::spawn(async move { server.shutdown(secs(30)).await });
    assert_eq!(read_to_end(&mut idle).await.unwrap(), "");
    assert_eq!(mute.end().await.received, "");
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(site.states.reason(3), Some(CloseReason::ShuttingDown));
    assert_eq!(stalled.end().await, End::silent(secs(10)), "the deadline of a head");
    assert_eq!(read_to_end(&mut silent).await.unwrap(), "");
    let report = ending.await.unwrap();
    assert_eq!((report.drained, report.cut), (4, 0));
    assert!(began.elapsed() <= secs(10));
    assert_eq!(site.serving.await.unwrap().unwrap_err().kind(), ErrorKind::ServerClosed);
    assert_eq!(site.states.reason(1), Some(CloseReason::HeadTimeout));
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_serves_the_first_request_of_whoever_has_begun_a_handshake() {
    let authority = Authority::new("ca");
    for protocols in [&["http/1.1"][..], &["h2"]] {
        let site = site(&authority, hello);
        let config = offering(trusting(&authority), protocols);
        // One at the first record of its handshake, one behind the last.
        let (stalled, handshake) = half_secured(&site, &config).await;
        let secured = site.secure(&config, "a.test").await.unwrap();
        settle().await;
        let server = site.server.clone();
        let ending = tokio::spawn(async move { server.shutdown(secs(30)).await });
        tokio::time::sleep(secs(2)).await;
        handshake.notify_one();
        for stream in [stalled.await.unwrap(), secured] {
            assert_eq!(first_answer(stream, protocols == ["h2"]).await, 200, "{protocols:?}");
        }
        let report = ending.await.unwrap();
        assert_eq!((report.drained, report.cut), (2, 0), "{protocols:?}");
    }
}

type Stalled = JoinHandle<TlsStream<DuplexStream>>;

/// A handshake whose client has sent its first record, in pieces, and goes on when it is told to.
async fn half_secured(site: &Site, config: &ClientConfig) -> (Stalled, Arc<tokio::sync::Notify>) {
    let go: Arc<tokio::sync::Notify> = Arc::default();
    let (near, mut far) = tokio::io::duplex(64 << 10);
    let mut server = site.dialer.dial().await.unwrap();
    let told = go.clone();
    tokio::spawn(async move {
        let mut first = [0; 40];
        far.read_exact(&mut first).await.unwrap();
        server.write_all(&first).await.unwrap();
        told.notified().await;
        tokio::io::copy_bidirectional(&mut far, &mut server).await
    });
    let connector = TlsConnector::from(Arc::new(config.clone()));
    let name = ServerName::try_from("a.test").unwrap();
    (tokio::spawn(async move { connector.connect(name, near).await.unwrap() }), go)
}

/// The status of the answer to a first request.
async fn first_answer(mut stream: TlsStream<DuplexStream>, http2: bool) -> u16 {
    if !http2 {
        stream.write_all(GET.as_bytes()).await.unwrap();
        let answer = read_to_end(&mut stream).await.unwrap();
        assert!(answer.contains("Connection: close"), "{answer}");
        return answer[9..12].parse().unwrap();
    }
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::builder().uri("https://a.test/").body(()).unwrap();
    let (response, _) = client.send_request(request, true).unwrap();
    response.await.unwrap().status().as_u16()
}

#[tokio::test(start_paused = true)]
async fn a_stalled_handshake_makes_room_for_a_new_connection() {
    let authority = Authority::new("ca");
    let mut server = quiet(hello);
    server.max_connections = 1;
    let site = Site::start(server, &config(&[&authority.issue(&["a.test"])]));
    let _stalled = site.dial().await;
    sleep(secs(2)).await;
    assert_eq!(site.ask(&trusting(&authority), "a.test").await, "hello");
    assert_eq!(site.states.reason(1), Some(CloseReason::Evicted));
}

// ------------------------------------------------------------ how a session ends

#[tokio::test(start_paused = true)]
async fn a_kept_session_ends_in_order_when_it_was_idle_for_too_long() {
    let authority = Authority::new("ca");
    let site = site(&authority, hello);
    let mut stream = site.secure(&trusting(&authority), "a.test").await.unwrap();
    let began = Instant::now();
    for _ in 0..3 {
        stream.write_all(GET.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"hello") {
            assert!(stream.read_buf(&mut answer).await.unwrap() > 0);
        }
    }
    // rustls makes an error of an end without close_notify.
    assert_eq!(read_to_end(&mut stream).await.unwrap(), "");
    assert_eq!(began.elapsed(), secs(120));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_cut_does_not_end_in_order() {
    let authority = Authority::new("ca");
    let fails = async |w: &mut ResponseWriter, _: &mut Request| -> Result<()> {
        w.write("the beginning").await?;
        w.flush().await?;
        Err(nethttp::Error::other("broken"))
    };
    let mut server = quiet(fails);
    server.on_event = Some(Arc::new(|_: &ServerEvent| {}));
    let (listener, dialer) = testing::listener();
    let tls = config(&[&authority.issue(&["a.test"])]);
    tokio::spawn(async move { server.serve_tls(listener, &tls).await });
    let name = ServerName::try_from("a.test").unwrap();
    let stream = dialer.dial().await.unwrap();
    let mut stream = TlsConnector::from(Arc::new(trusting(&authority))).connect(name, stream).await.unwrap();
    // HTTP/1.0: the end of the connection is the end of the content.
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    assert_eq!(read_to_end(&mut stream).await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_taken_over_is_that_within_the_session() {
    let authority = Authority::new("ca");
    let takes = async |w: &mut ResponseWriter, _: &mut Request| {
        let mut raw = w.hijack().await?;
        let mut heard = [0; 4];
        raw.read_exact(&mut heard).await?;
        raw.write_all(&heard.map(|byte| byte.to_ascii_uppercase())).await?;
        Ok(raw.shutdown().await?)
    };
    let site = site(&authority, takes);
    let mut stream = site.secure(&trusting(&authority), "a.test").await.unwrap();
    stream.write_all(GET.as_bytes()).await.unwrap();
    stream.write_all(b"ping").await.unwrap();
    assert_eq!(read_to_end(&mut stream).await.unwrap(), "PING");
    settle().await;
    assert_eq!(site.states.line(1), "new active hijacked");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_resets_its_connection_cancels_its_request() {
    let authority = Authority::new("ca");
    let cancelled = Arc::new(tokio::sync::Notify::new());
    let waits = handle_with(
        cancelled.clone(),
        async |cancelled: &Arc<tokio::sync::Notify>, _: &mut ResponseWriter, r: &mut Request| {
            r.context().cancelled().await;
            cancelled.notify_one();
            Ok(())
        },
    );
    let site = site(&authority, waits);
    let mut stream = site.secure(&trusting(&authority), "a.test").await.unwrap();
    stream.write_all(GET.as_bytes()).await.unwrap();
    settle().await;
    drop(stream);
    cancelled.notified().await;
}

// ------------------------------------------------------------ listening

#[tokio::test]
async fn listening_on_an_address_serves_over_tls() {
    let authority = Authority::new("ca");
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let mut server = quiet(hello);
    server.addr = "127.0.0.1:0".into();
    server.base_context = Some(Arc::new(move |addr: &nethttp::net::Addr| {
        told.send(addr.to_string()).unwrap();
        nethttp::Extensions::new()
    }));
    let (clone, tls) = (server.clone(), config(&[&authority.issue(&["a.test"])]));
    let serving = tokio::spawn(async move { clone.listen_and_serve_tls(&tls).await });
    let stream = tokio::net::TcpStream::connect(heard.recv().await.unwrap()).await.unwrap();
    let name = ServerName::try_from("a.test").unwrap();
    let mut stream = TlsConnector::from(Arc::new(trusting(&authority))).connect(name, stream).await.unwrap();
    stream.write_all(CLOSING.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(content(&answer), "hello");
    server.shutdown(secs(5)).await;
    assert_eq!(serving.await.unwrap().unwrap_err().kind(), ErrorKind::ServerClosed);
}

#[tokio::test]
async fn functions_serve_a_handler_in_the_clear_and_over_tls() {
    let authority = Authority::new("ca");
    let (listener, dialer) = testing::listener();
    tokio::spawn(nethttp::serve(listener, hello));
    assert_eq!(dial(&dialer).await.ask(GET).await.content, "hello");

    let (listener, dialer) = testing::listener();
    let tls = config(&[&authority.issue(&["a.test"])]);
    tokio::spawn(async move { nethttp::tls::serve_tls(listener, &tls, hello).await });
    let name = ServerName::try_from("a.test").unwrap();
    let stream = dialer.dial().await.unwrap();
    let mut stream = TlsConnector::from(Arc::new(trusting(&authority))).connect(name, stream).await.unwrap();
    stream.write_all(CLOSING.as_bytes()).await.unwrap();
    assert_eq!(content(&read_to_end(&mut stream).await.unwrap()), "hello");

    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = held.local_addr().unwrap().to_string();
    let error = nethttp::listen_and_serve(&*taken, hello).await.unwrap_err();
    assert!(error.to_string().contains(&taken), "{error}");
}
