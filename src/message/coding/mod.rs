//! Content codings (RFC 9110 §8.4.1): gzip, and by feature Brotli and Zstandard.
use super::Body;
pub(crate) struct Decoder;
pub(crate) fn accept_encoding() -> &'static str {
    ""
}
pub(crate) fn decoder_for(_: &[u8]) -> Option<Decoder> {
    None
}
pub(crate) fn decode(body: Body, _: Decoder) -> Body {
    body
}
