//! Which of a file's stored codings a client accepts (RFC 9110 §12.5.3): a pure function.

use crate::message::Header;
use crate::message::coding::weight;

/// A coding in which a file may be stored beside the plain one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Encoding {
    /// Its name in fields.
    pub(super) name: &'static str,
    /// The suffix of its files' names.
    pub(super) suffix: &'static str,
    /// The mark in its entity tag, which the plain file's does not have.
    pub(super) variant: &'static str,
}

/// From the one that is tried first where the client has no preference: the smallest, mostly.
const KNOWN: [Encoding; 3] = [
    Encoding { name: "br", suffix: ".br", variant: "-br" },
    Encoding { name: "zstd", suffix: ".zst", variant: "-zstd" },
    Encoding { name: "gzip", suffix: ".gz", variant: "-gzip" },
];

/// The codings that the client likes at least as much as the plain file, best first.
pub(super) fn accepted(header: &Header) -> Vec<Encoding> {
    let weight = |name: &str| weight(header, name);
    let plain = weight("identity").unwrap_or(0);
    let any = weight("*").unwrap_or(0);
    let mut accepted: Vec<_> = KNOWN
        .into_iter()
        .map(|encoding| (weight(encoding.name).unwrap_or(any), encoding))
        .filter(|(weight, _)| *weight > 0 && *weight >= plain)
        .collect();
    // Stable: among equals the order is ours.
    accepted.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
    accepted.into_iter().map(|(_, encoding)| encoding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clients_preference_comes_first_then_the_servers() {
        let cases: [(&str, &[&str]); 17] = [
            ("", &[]),
            ("identity", &[]),
            ("gzip", &["gzip"]),
            ("GZIP", &["gzip"]),
            ("gzip, deflate, br, zstd", &["br", "zstd", "gzip"]),
            ("gzip;q=1.0, br;q=0.5", &["gzip", "br"]),
            ("gzip ; q=0.001, br ; q=0", &["gzip"]),
            ("br;q=0.000", &[]),
            ("*", &["br", "zstd", "gzip"]),
            ("*;q=0.5, gzip", &["gzip", "br", "zstd"]),
            ("gzip, *;q=0", &["gzip"]),
            ("br;q=0, *", &["zstd", "gzip"]),
            ("identity, gzip;q=0.5", &[]),
            ("identity;q=0.5, gzip", &["gzip"]),
            ("gzip;q=2", &[]),
            ("gzip;q=1.001", &[]),
            ("gzip;q=x", &[]),
        ];
        for (field, expected) in cases {
            let mut header = Header::new();
            header.set("Accept-Encoding", field);
            let names: Vec<_> = accepted(&header).into_iter().map(|encoding| encoding.name).collect();
            assert_eq!(names, expected, "{field}");
        }
        assert_eq!(accepted(&Header::new()), []);
    }
}
