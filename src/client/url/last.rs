//! The URL that a thread has read last. Programs ask the same server again and again, and many of
//! them for the same thing: what was normal then is normal now.
//!
//! Nothing hangs on what is remembered but that it is not read once more. Only what came as text is:
//! a `Uri` may be a piece of something large.

use std::cell::RefCell;

use bytes::Bytes;
use http::Uri;
use http::uri::Authority;

struct Last {
    text: Bytes,
    uri: Uri,
}

thread_local! {
    static LAST: RefCell<Option<Last>> = const { RefCell::new(None) };
}

/// A longer one is not worth its memory.
const MAX_BYTES: usize = 1024;

/// The last one, if this is its text.
pub(super) fn of_text(text: &str) -> Option<Uri> {
    look(|last| (last.text == text).then(|| last.uri.clone())).flatten()
}

/// Whether the last one has this scheme and this authority.
pub(super) fn has_authority(scheme: &str, authority: &str) -> bool {
    let has_both = |Last { uri, .. }: &Last| {
        uri.authority().map(Authority::as_str) == Some(authority) && uri.scheme_str() == Some(scheme)
    };
    look(has_both).unwrap_or(false)
}

/// Remembers a normal URL and the text that it was read from.
pub(super) fn remember(text: Bytes, uri: &Uri) {
    if text.len() <= MAX_BYTES {
        // The former one is dropped when nothing is borrowed any more.
        let _former = LAST.try_with(|last| last.replace(Some(Last { text, uri: uri.clone() })));
    }
}

/// A thread that ends remembers nothing.
fn look<T>(see: impl FnOnce(&Last) -> T) -> Option<T> {
    LAST.try_with(|last| last.borrow().as_ref().map(see)).ok().flatten()
}
