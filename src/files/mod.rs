//! Serves files of a directory.
//!
//! ```text
//! serve      the handler: method, answer's head, content chunk by chunk
//!   path       request path -> path below the root, or nothing (pure)
//!   lookup     the blocking hop: confine, stat, open, first chunk
//!     condition  whether the client's copy is still good (pure)
//!     listing    a directory as a page
//!     mime       a name's content type (pure)
//! ```

mod condition;
mod listing;
mod lookup;
mod mime;
mod path;
mod serve;

pub use serve::file_server;
