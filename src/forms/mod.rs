//! Forms and the files that are sent with them: read whole, or part by part.
//!
//! [`Request::form`](crate::Request::form) reads a form without files.
//! [`Request::multipart_form`](crate::Request::multipart_form) reads one with files into a
//! [`MultipartForm`], small files in memory and large ones on disk;
//! [`Request::multipart`](crate::Request::multipart) gives one [`Part`] after the other as they come in.
//!
//! ```
//! use nethttp::{Request, ResponseWriter, Result};
//!
//! async fn upload(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
//!     let mut parts = r.multipart()?;
//!     let mut total = 0;
//!     while let Some(mut part) = parts.next_part().await? {
//!         while let Some(chunk) = part.chunk().await? {
//!             total += chunk.len();
//!         }
//!     }
//!     w.write(format!("{total} bytes\n")).await
//! }
//! ```
//!
//! [`Form`] is one to be sent: [`Request::with_multipart`](crate::Request::with_multipart).
//!
//! The guide has a page on it: `docs/guide/forms.md`.

// Multipart forms read whole: values in memory, files in memory or on disk; and forms to be sent.
//
// read         what a request offers; parts -> values and files, within a budget
//   form         a form that was read, and one file of it
//     temp_file    a file without a name
// typed        a form as a type of the program's own
// send         a form to be sent: the heads of its parts, and their content one after the other
//   path_source  a file of a path, read while it is sent

#[cfg(feature = "server")]
mod form;
mod path_source;
#[cfg(feature = "server")]
mod read;
mod send;
#[cfg(feature = "server")]
mod temp_file;
#[cfg(all(feature = "serde", feature = "server"))]
mod typed;

pub use crate::message::{Multipart, MultipartLimits, Part, Values};
#[cfg(feature = "server")]
pub use form::{FormFile, MultipartForm};
#[cfg(feature = "server")]
pub use read::DEFAULT_MAX_FORM_MEMORY;
pub use send::{Form, FormPart};
