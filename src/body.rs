//! Content: what a [`Body`] is made of, its limits, and what content looks like.
//!
//! ```
//! use nethttp::body::{Body, detect_content_type};
//!
//! let body = Body::from("<!doctype html>");
//! assert_eq!(body.remaining(), Some(15));
//! assert_eq!(detect_content_type(b"<!doctype html>"), "text/html; charset=utf-8");
//! ```
//!
//! The guide has a page on it: `docs/guide/body.md`.

pub use crate::message::{Body, DEFAULT_MAX_CLIENT_BYTES, DEFAULT_MAX_TEXT_BYTES, detect_content_type};
pub use bytes::Bytes;
