//! Serves files and other content that can be read from any place.
//!
//! ```text
//! file_server  the handler for a tree, and its settings
//! serve      what is found, sent
//!   path       request path -> path below the root, or nothing (pure)
//!   encoding   the codings that the client takes (pure)
//!   lookup     open, decide, first chunk: at once if that is in memory, else in one hop that may block
//!     listing    a directory as a page
//!     mime       a name's content type (pure)
//! content    the same for content that the caller has opened
//!   answer     the head, and the content chunk by chunk
//!     condition  which answer, which parts (pure)
//!       etag       entity tags (pure)
//!       range      the Range field (pure)
//!     gzip       text encoded while it is sent
//!     parts      what stands between several parts (pure)
//! file_system  what a tree of files is
//!   dir          one on the disk
//!   embedded     one in the program
//! ```

mod answer;
mod condition;
mod content;
mod dir;
mod embedded;
mod encoding;
mod etag;
mod file_server;
mod file_system;
#[cfg(feature = "gzip")]
mod gzip;
#[cfg(not(feature = "gzip"))]
#[path = "gzip_absent.rs"]
mod gzip;
mod listing;
mod lookup;
mod mime;
mod parts;
mod path;
mod range;
mod serve;

pub use content::serve_content;
pub use dir::Dir;
pub use embedded::EmbeddedFiles;
pub use file_server::{FileServer, file_server, file_server_fs};
pub use file_system::{DirEntry, File, FileInfo, FileKind, FileSystem};
#[cfg(fuzzing)]
pub(crate) use range::{Ranges, parse_ranges};
pub use serve::serve_file;
