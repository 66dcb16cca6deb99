//! Multipart forms read whole: values in memory, files in memory or on disk.
//!
//! ```text
//! read         what a request offers; parts -> values and files, within a budget
//!   form         a form that was read, and one file of it
//!     temp_file    a file without a name
//! ```

mod form;
mod read;
mod temp_file;

pub use form::{FormFile, MultipartForm};
pub use read::DEFAULT_MAX_FORM_MEMORY;
