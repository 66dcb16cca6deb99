//! What a session agreed on, in our words.

use bytes::Bytes;
use rustls::{CommonState, HandshakeKind, ProtocolVersion, SupportedProtocolVersion, version};

use crate::message::{TlsInfo, TlsVersion};

/// The facts of a session whose handshake is done.
pub(super) fn info(session: &CommonState, server_name: Option<&str>) -> TlsInfo {
    let suite = session.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
    TlsInfo {
        version: match session.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => TlsVersion::Tls12,
            _ => TlsVersion::Tls13,
        },
        cipher_suite: suite.map_or("unknown", registered_name),
        alpn: session.alpn_protocol().map(Bytes::copy_from_slice),
        server_name: server_name.map(Box::from),
        peer_certificates: session
            .peer_certificates()
            .unwrap_or_default()
            .iter()
            .map(|certificate| Bytes::copy_from_slice(certificate))
            .collect(),
        resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
    }
}

/// rustls says `TLS13_AES_128_GCM_SHA256`, the registry `TLS_AES_128_GCM_SHA256` (RFC 8446 §B.4).
fn registered_name(name: &'static str) -> &'static str {
    match name {
        "TLS13_AES_128_GCM_SHA256" => "TLS_AES_128_GCM_SHA256",
        "TLS13_AES_256_GCM_SHA384" => "TLS_AES_256_GCM_SHA384",
        "TLS13_CHACHA20_POLY1305_SHA256" => "TLS_CHACHA20_POLY1305_SHA256",
        "TLS13_AES_128_CCM_SHA256" => "TLS_AES_128_CCM_SHA256",
        "TLS13_AES_128_CCM_8_SHA256" => "TLS_AES_128_CCM_8_SHA256",
        name => name,
    }
}

/// The versions from this one on, for rustls.
pub(super) fn versions_from(lowest: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    static FROM_12: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];
    static FROM_13: [&SupportedProtocolVersion; 1] = [&version::TLS13];
    match lowest {
        TlsVersion::Tls12 => &FROM_12,
        TlsVersion::Tls13 => &FROM_13,
    }
}
