//! Multipart forms read whole: values in memory, files in memory or on disk.
//!
//! ```text
//! request    what a request offers
//!   form       what users hold: a form, and one file of it
//!   collect    parts -> values and files, within a budget
//!     temp_file  a file without a name
//! ```

mod collect;
mod form;
mod request;
mod temp_file;

pub use form::{FormFile, MultipartForm};
pub use request::DEFAULT_MAX_FORM_MEMORY;
