//! Content codings (RFC 9110 §8.4.1): gzip, and by feature Brotli and Zstandard.
