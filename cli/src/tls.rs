//! TLS for what the command serves: with a certificate from files, or with one made for the occasion.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use aws_lc_rs::digest::{SHA256, digest};
use clap::Args;
use nethttp::tls::{Certificate, TlsServerConfig};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair};

#[derive(Debug, Args)]
pub(crate) struct TlsArguments {
    /// Serve over TLS with the certificate of this PEM file, its chain after it
    #[arg(long, value_name = "FILE", requires = "tls_key", help_heading = "TLS")]
    tls_cert: Option<PathBuf>,

    /// The private key of the certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert", help_heading = "TLS")]
    tls_key: Option<PathBuf>,

    /// Serve over TLS with a certificate made now
    ///
    /// Nobody trusts it: compare its fingerprint, which is printed, with the one that the browser
    /// shows. It is for this machine's names and for the address, it is valid for 30 days, and it
    /// is gone when the command ends.
    #[arg(long, conflicts_with_all = ["tls_cert", "tls_key"], help_heading = "TLS")]
    self_signed: bool,
}

impl TlsArguments {
    /// What was asked for. The fingerprint of a certificate made now goes to standard error.
    pub(crate) fn load(&self, addresses: &[String]) -> anyhow::Result<Option<TlsServerConfig>> {
        let certificate = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => Certificate::from_pem_files(certificate, key)?,
            _ if self.self_signed => made_now(addresses)?,
            _ => return Ok(None),
        };
        Ok(Some(TlsServerConfig::new([certificate])?))
    }
}

/// A certificate for these addresses. Its fingerprint goes to standard error.
pub(crate) fn made_now(addresses: &[String]) -> anyhow::Result<Certificate> {
    let made = self_signed(addresses).context("cannot make a certificate")?;
    print_fingerprint(&made)?;
    Ok(made)
}

const CERTIFICATE_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);
/// Clocks of others may be behind.
const CLOCK_DIFFERENCE: Duration = Duration::from_secs(24 * 3600);

fn self_signed(addresses: &[String]) -> anyhow::Result<Certificate> {
    let mut params = CertificateParams::new(names_for(addresses))?;
    params.distinguished_name.push(DnType::CommonName, "nethttp --self-signed");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let now = SystemTime::now();
    params.not_before = (now - CLOCK_DIFFERENCE).into();
    params.not_after = (now + CERTIFICATE_LIFETIME).into();
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok(Certificate::from_der([certificate.der().to_vec()], key.serialize_der())?)
}

/// The names of this machine as seen from itself, and the hosts that were asked for.
fn names_for(addresses: &[String]) -> Vec<String> {
    let mut names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    for (host, _) in addresses.iter().filter_map(|address| address.rsplit_once(':')) {
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let is_nobodys = host.starts_with("unix:")
            || host == "unix"
            || host.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified());
        if !is_nobodys && !names.contains(&host) {
            names.push(host);
        }
    }
    names
}

fn print_fingerprint(certificate: &Certificate) -> io::Result<()> {
    let der = certificate.chain().next().unwrap_or_default();
    writeln!(io::stderr(), "SHA-256 fingerprint of the certificate: {}", fingerprint(der))
}

/// As browsers and openssl show it.
fn fingerprint(der: &[u8]) -> String {
    let mut text = String::new();
    for byte in digest(&SHA256, der).as_ref() {
        let colon = if text.is_empty() { "" } else { ":" };
        // Writing to a string cannot fail.
        let _ = write!(text, "{colon}{byte:02X}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_for_this_machine_and_for_each_address() {
        let here = ["localhost", "127.0.0.1", "::1"];
        let names = |addresses: &[&str]| names_for(&addresses.iter().map(|&text| text.to_owned()).collect::<Vec<_>>());
        for address in ["127.0.0.1:8000", "localhost:0", "[::1]:8000", "0.0.0.0:8000", "[::]:8000", "unix:/a:b"] {
            assert_eq!(names(&[address]), here, "{address}");
        }
        assert_eq!(names(&["box.lan:8000", "[fd00::1]:8000", "box.lan:1"])[3..], ["box.lan", "fd00::1"]);
    }

    #[test]
    fn a_fingerprint_is_32_bytes_in_hexadecimal() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(
            fingerprint(b"abc"),
            "BA:78:16:BF:8F:01:CF:EA:41:41:40:DE:5D:AE:22:23:B0:03:61:A3:96:17:7A:9C:B4:10:FF:61:F2:00:15:AD"
        );
    }
}
