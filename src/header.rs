//! Fields of a head: their names in canonical form, and dates as they stand in them.
//!
//! [`Header`] itself has the rest: names without case, several values, the order of their arrival.
//!
//! ```
//! use nethttp::header::{canonical_header_key, format_time, parse_time};
//!
//! assert_eq!(canonical_header_key("content-TYPE"), "Content-Type");
//! let time = parse_time("Sunday, 06-Nov-94 08:49:37 GMT").expect("one of the three forms of RFC 9110 §5.6.7");
//! assert_eq!(format_time(time), "Sun, 06 Nov 1994 08:49:37 GMT");
//! ```
//!
//! The guide has a page on it: `docs/guide/requests.md`.

pub use crate::message::{Header, canonical_header_key, format_time, parse_time};
