//! Multipart content (RFC 2046 §5.1, RFC 7578), part by part as it arrives.
//!
//! ```text
//! reader     what users hold: a multipart, and one part of it
//!   quoted_printable   content decoded as it comes
//!   parser     bytes -> heads, content, ends: no I/O
//!     boundary   where a delimiter stands, or may begin
//!     head       a part's fields, its name, its file's name
//! ```

mod boundary;
mod head;
mod parser;
mod quoted_printable;
mod reader;
#[cfg(test)]
mod tests;

pub use parser::MultipartLimits;
pub use reader::{Multipart, Part};

pub(super) use boundary::{BAD_BOUNDARY, Boundary};
pub(crate) use boundary::{random_boundary, random_number};
