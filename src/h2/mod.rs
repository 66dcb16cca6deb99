//! HTTP/2 (RFC 9113): the h2 crate in our words.
