//! The interface of an encoder, and which coding a client likes best.

use super::accept::weight;
use crate::message::header::Header;

/// A coding of content that this crate can make (RFC 9110 §8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ContentCoding {
    /// `gzip` (RFC 1952), with the feature `gzip`.
    Gzip,
    /// `br` (RFC 7932), with the feature `brotli`.
    Brotli,
    /// `zstd` (RFC 8878), with the feature `zstd`.
    Zstandard,
}

impl ContentCoding {
    /// Its name in `Content-Encoding` and `Accept-Encoding`.
    pub fn name(self) -> &'static str {
        match self {
            ContentCoding::Gzip => "gzip",
            ContentCoding::Brotli => "br",
            ContentCoding::Zstandard => "zstd",
        }
    }
}

/// How much time is spent to make content smaller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CompressionLevel {
    /// As little as possible: gzip 1, Brotli 1, Zstandard 1.
    Fastest,
    /// What suits content that is made for each request: gzip 5, Brotli 4, Zstandard 3.
    #[default]
    Default,
    /// Much, for content that is sent more often than it is made: gzip 9, Brotli 8, Zstandard 12. Some ten
    /// times as slow.
    Best,
}

/// Encodes content that arrives piece by piece, and appends to `out`.
pub(crate) trait Encode: Send {
    /// Takes a piece. What comes out of it may come later.
    fn encode(&mut self, content: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeFault>;

    /// What was taken so far can be decoded from what is out afterwards.
    fn flush(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeFault>;

    /// Ends the content. Not to be called twice.
    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeFault>;
}

/// Why content cannot be encoded: the encoder has no memory, or is broken.
pub(crate) type EncodeFault = &'static str;

/// What a client accepts, as far as codings on offer go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// The coding that it likes best, if it likes one at least as much as plain content.
    pub(crate) coding: Option<ContentCoding>,
    /// Whether it refuses plain content.
    pub(crate) refuses_plain: bool,
}

/// Chooses among the codings on offer, of which the first is ours to prefer, by the weights of the
/// request's `Accept-Encoding` (RFC 9110 §12.5.3). Without that field anything may be sent; then plain
/// content is, because whoever sends none rarely decodes anything.
pub(crate) fn accepted(header: &Header, on_offer: &[ContentCoding]) -> Accepted {
    let any = weight(header, "*");
    let plain = weight(header, "identity");
    let refuses_plain = plain.or(any) == Some(0);
    let weight_of = |coding: ContentCoding| {
        // RFC 9110 §8.4.1.3: an old name for the same.
        let old_name = if coding == ContentCoding::Gzip { weight(header, "x-gzip") } else { None };
        weight(header, coding.name()).or(old_name).or(any).unwrap_or(0)
    };
    let mut best = None;
    for &coding in on_offer {
        let weight = weight_of(coding);
        let is_liked = weight > 0 && weight >= plain.unwrap_or(0);
        if is_liked && best.is_none_or(|(most, _)| weight > most) {
            best = Some((weight, coding));
        }
    }
    Accepted { coding: best.map(|(_, coding)| coding), refuses_plain }
}

/// Whether content of this type becomes much smaller: text, and what is like text.
pub(crate) fn is_compressible(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let (kind, subtype) = essence.split_once('/').unwrap_or_default();
    match (kind, subtype) {
        ("text", _)
        | (_, "json" | "javascript" | "xml" | "wasm" | "rtf" | "sql" | "toml" | "yaml" | "x-ndjson")
        | ("image", "bmp" | "vnd.microsoft.icon")
        | ("font", "ttf" | "otf")
        | ("application", "vnd.ms-fontobject" | "x-javascript") => true,
        (_, subtype) => subtype.ends_with("+json") || subtype.ends_with("+xml"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(fields: &[&str]) -> (Option<&'static str>, bool) {
        let header: Header = fields.iter().map(|value| ("Accept-Encoding", *value)).collect();
        let accepted = accepted(&header, &[ContentCoding::Zstandard, ContentCoding::Brotli, ContentCoding::Gzip]);
        (accepted.coding.map(ContentCoding::name), accepted.refuses_plain)
    }

    #[test]
    fn the_coding_is_the_one_that_the_client_likes_best_and_then_the_first_of_ours() {
        for (field, coding, refuses_plain) in [
            ("gzip", Some("gzip"), false),
            ("x-gzip", Some("gzip"), false),
            ("GZIP, Br", Some("br"), false),
            ("gzip, deflate, br, zstd", Some("zstd"), false),
            ("gzip;q=1.0, br;q=0.9, zstd;q=0.8", Some("gzip"), false),
            ("deflate, compress", None, false),
            ("", None, false),
            ("*", Some("zstd"), false),
            ("*;q=0", None, true),
            ("gzip, *;q=0", Some("gzip"), true),
            ("identity;q=0", None, true),
            ("identity;q=0, br;q=0.1", Some("br"), true),
            ("identity;q=0.1, *;q=0", None, false),
            ("identity, gzip;q=0.5", None, false),
            ("identity;q=0.5, gzip;q=0.5", Some("gzip"), false),
            ("zstd;q=0, br;q=0.000, *", Some("gzip"), false),
            ("gzip;q=0", None, false),
            ("gzip;q=nonsense", None, false),
            ("gzip ; q=0.5 , br; Q=0.6", Some("br"), false),
        ] {
            assert_eq!(chosen(&[field]), (coding, refuses_plain), "{field}");
        }
        assert_eq!(chosen(&[]), (None, false));
        assert_eq!(chosen(&["gzip;q=0.1", "br;q=0.2"]), (Some("br"), false), "several lines are one list");
    }

    #[test]
    fn text_becomes_smaller_and_what_is_compressed_already_does_not() {
        for yes in [
            "text/html; charset=utf-8",
            "TEXT/PLAIN",
            "application/json",
            "image/svg+xml",
            "application/wasm",
            "text/event-stream",
        ] {
            assert!(is_compressible(yes), "{yes}");
        }
        for no in ["image/png", "video/mp4", "application/zip", "application/octet-stream", "font/woff2", "", "text"] {
            assert!(!is_compressible(no), "{no}");
        }
    }
}
