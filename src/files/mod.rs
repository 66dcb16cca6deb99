//! Serves files, and other content that can be read at any offset: ranges, conditions, listings.
//!
//! [`file_server`] serves a directory, [`FileServer`] has the settings, and [`FileSystem`] is what can be
//! served in place of a directory: [`EmbeddedFiles`] are in the program.
//!
//! ```no_run
//! use nethttp::files::{Dir, FileServer};
//!
//! let mux = nethttp::ServeMux::new();
//! mux.handle("/", FileServer::new(Dir::new("public")).listings(false));
//! ```
//!
//! [`serve_file`] and [`serve_content`] answer one request from a handler.
//!
//! The guide has a page on it: `docs/guide/files.md`.

// Serves files, and other content that can be read at any offset.
//
// file_server   the handler for a tree, and its settings
// serve         serve_file, serve_content, and what a lookup found, sent
//   path          request path -> path below the root, or nothing (pure)
//   encoding      the codings that the client takes (pure)
//   lookup        open, decide, read the first chunk
//     listing       a directory as a page
//   response      the head, and the content chunk by chunk
//     condition     which response, which parts; entity tags (pure)
//     range         the Range field, and content in several parts (pure)
//     gzip          text encoded while it is sent
// source        content that is read at any offset, and calls that may wait for a disk
// file_system   what a tree of files is, and one that is in the program
//   dir           one on the disk

mod condition;
mod dir;
mod encoding;
mod file_server;
mod file_system;
#[cfg(feature = "gzip")]
mod gzip;
#[cfg(not(feature = "gzip"))]
#[path = "gzip_absent.rs"]
mod gzip;
mod listing;
mod lookup;
mod path;
mod range;
mod response;
mod serve;
mod source;
#[cfg(test)]
mod temp_tree;

pub use dir::Dir;
pub use file_server::{FileServer, file_server, file_server_fs};
pub use file_system::{DirEntry, EmbeddedFiles, File, FileInfo, FileKind, FileSystem};
#[cfg(fuzzing)]
pub(crate) use path::relative_path;
#[cfg(fuzzing)]
pub(crate) use range::{Ranges, parse_ranges};
pub use serve::{serve_content, serve_file, serve_file_fs};
