//! Whom the command trusts.

use nethttp::{Request, TlsServerConfig, respond};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};

use crate::support::{Folder, Site, get};

/// A server with a certificate for a.test, and the PEM of who signed it.
fn secure() -> (Site, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["a.test".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let config = TlsServerConfig::from_pem(certificate.pem(), key.serialize_pem()).unwrap();
    (Site::start_with(respond(async |_: &mut Request| "secret"), Some(config)), authority.pem())
}

#[test]
fn a_certificate_is_trusted_when_its_issuer_is() {
    let ((site, authority), folder) = (secure(), Folder::new());
    folder.write("ca.pem", authority);
    let port = site.address.port();
    let place = format!("a.test:{port}:127.0.0.1,");
    let place = place.trim_end_matches(',');
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
