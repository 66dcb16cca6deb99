//! Why a handshake or a session failed, in plain words.

use std::borrow::Cow;
use std::io;
use std::time::{Duration, UNIX_EPOCH};

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, PeerIncompatible};

use crate::error::{Error, ErrorKind, Phase};
use crate::message::format_time;

/// The role of the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    Server,
    Client,
}

impl Peer {
    fn name(self) -> &'static str {
        match self {
            Peer::Server => "server",
            Peer::Client => "client",
        }
    }
}

/// The error of a handshake that failed.
pub(super) fn handshake_failed(peer: Peer, error: io::Error) -> Error {
    let error = match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(reason) => described(peer, reason, "the handshake failed"),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            tls_error(format!("the {} closed the connection during the handshake", peer.name()))
        }
        None => tls_error("the handshake failed").with_source(error),
    };
    error.during(Phase::Tls)
}

/// The error of a session that was under way. What the network says stays as it is.
pub(super) fn session_failed(peer: Peer, error: io::Error) -> io::Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        // In TLS 1.3 a client also learns here that its certificate was rejected: its own half of the
        // handshake was done before.
        Some(reason) => described(peer, reason, "the session failed").into(),
        // RFC 8446 §6.1: without close_notify the content may have been cut off.
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            let message = format!("the {} closed the connection without ending the TLS session", peer.name());
            Error::new(ErrorKind::CutOff, message).into()
        }
        None => error,
    }
}

pub(super) fn tls_error(message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Tls, message)
}

/// A message that is complete has no source; otherwise the error of rustls is its source.
fn described(peer: Peer, error: &rustls::Error, otherwise: &'static str) -> Error {
    let name = peer.name();
    match error {
        rustls::Error::InvalidCertificate(reason) => match certificate_reason(reason) {
            Some(reason) => tls_error(format!("the {name}'s certificate {reason}")),
            None => tls_error(format!("the {name}'s certificate is not valid")).with_source(error.clone()),
        },
        rustls::Error::NoCertificatesPresented => tls_error(format!("the {name} sent no certificate")),
        rustls::Error::AlertReceived(alert) => tls_error(format!("the {name} {}", alert_reason(*alert))),
        rustls::Error::NoApplicationProtocol => tls_error(format!("no protocol in common with the {name} (ALPN)")),
        rustls::Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::Tls13RequiredForQuic
            | PeerIncompatible::SupportedVersionsExtensionRequired,
        ) => tls_error(format!("no version of TLS in common with the {name}")),
        rustls::Error::PeerIncompatible(
            PeerIncompatible::NoCipherSuitesInCommon
            | PeerIncompatible::NoKxGroupsInCommon
            | PeerIncompatible::NoSignatureSchemesInCommon,
        ) => tls_error(format!("no cryptography in common with the {name}")).with_source(error.clone()),
        error => tls_error(otherwise).with_source(error.clone()),
    }
}

/// A plain text for what is wrong with a certificate, where there is one.
fn certificate_reason(error: &CertificateError) -> Option<String> {
    Some(match error {
        CertificateError::UnknownIssuer => "is signed by nobody who is trusted here".to_owned(),
        CertificateError::Expired => "has expired".to_owned(),
        CertificateError::ExpiredContext { not_after, .. } => format!("expired on {}", date(*not_after)),
        CertificateError::NotValidYet => "is not valid yet".to_owned(),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("is not valid before {}", date(*not_before))
        }
        CertificateError::NotValidForName => "is for another name".to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names: Vec<&str> = presented.iter().map(|name| plain_name(name)).collect();
            let names = if names.is_empty() { "no name at all".to_owned() } else { names.join(", ") };
            format!("is for {}, not for {}", names.escape_default(), expected.to_str())
        }
        CertificateError::Revoked => "was revoked".to_owned(),
        CertificateError::BadSignature => "has a signature that is not right".to_owned(),
        _ => return None,
    })
}

/// The names come as `DnsName("a.test")`. Any other form is shown as it is.
fn plain_name(presented: &str) -> &str {
    match (presented.split_once('('), presented.strip_suffix(')')) {
        (Some((shell, inner)), Some(_)) if shell.chars().all(char::is_alphanumeric) => {
            inner.trim_end_matches(')').trim_matches('"')
        }
        _ => presented,
    }
}

/// The text for an alert of the peer.
fn alert_reason(alert: AlertDescription) -> Cow<'static, str> {
    match alert {
        AlertDescription::CertificateRequired => "requires a client certificate".into(),
        AlertDescription::UnknownCA => "does not trust who signed our certificate".into(),
        AlertDescription::CertificateExpired => "says that our certificate has expired".into(),
        AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnsupportedCertificate => format!("did not accept our certificate ({alert:?})").into(),
        AlertDescription::ProtocolVersion => "has no version of TLS in common with us".into(),
        AlertDescription::NoApplicationProtocol => "has no protocol in common with us (ALPN)".into(),
        AlertDescription::UnrecognisedName => "does not know the name that it was asked for".into(),
        alert => format!("ended the session ({alert:?})").into(),
    }
}

fn date(time: UnixTime) -> String {
    // Before the end of year 9999, which is all that a date has room for.
    format_time(UNIX_EPOCH + Duration::from_secs(time.as_secs().min(253_402_300_799)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_out_of_their_debug_form() {
        assert_eq!(plain_name("DnsName(\"a.test\")"), "a.test");
        assert_eq!(plain_name("IpAddress(127.0.0.1)"), "127.0.0.1");
        assert_eq!(plain_name("a.test"), "a.test");
    }

    #[test]
    fn a_date_beyond_all_dates_is_the_last_one() {
        assert_eq!(date(UnixTime::since_unix_epoch(Duration::from_secs(u64::MAX))), "Fri, 31 Dec 9999 23:59:59 GMT");
    }
}
