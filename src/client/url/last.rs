//! The URL that a thread has read last. Programs ask the same server again and again, and many of
//! them for the same thing: what was normal then is normal now.
//!
//! Nothing hangs on what is remembered but that it is not read once more. Only what came as text is:
//! a `Uri` may be a piece of something large.

use std::cell::RefCell;

use http::Uri;
use http::uri::Authority;

thread_local! {
    static LAST: RefCell<Option<Uri>> = const { RefCell::new(None) };
}

/// A longer one is not worth its memory.
const MAX_BYTES: usize = 1024;

/// The last one, if this is its text.
pub(super) fn of_text(text: &str) -> Option<Uri> {
    look(|last| is_text_of(last, text).then(|| last.clone())).flatten()
}

/// Whether the last one has this scheme and this authority.
pub(super) fn has_authority(scheme: &str, authority: &str) -> bool {
    look(|last| last.authority().map(Authority::as_str) == Some(authority) && last.scheme_str() == Some(scheme))
        == Some(true)
}

/// Remembers a normal URL that was read from this text.
pub(super) fn remember(text: &str, uri: &Uri) {
    if text.len() <= MAX_BYTES {
        // The former one is dropped when nothing is borrowed any more.
        let _former = LAST.try_with(|last| last.replace(Some(uri.clone())));
    }
}

/// A thread that ends remembers nothing.
fn look<T>(see: impl FnOnce(&Uri) -> T) -> Option<T> {
    LAST.try_with(|last| last.borrow().as_ref().map(see)).ok().flatten()
}

fn is_text_of(uri: &Uri, text: &str) -> bool {
    let (Some(scheme), Some(authority), Some(target)) = (uri.scheme_str(), uri.authority(), uri.path_and_query())
    else {
        return false;
    };
    let rest = text.strip_prefix(scheme).and_then(|rest| rest.strip_prefix("://"));
    rest.and_then(|rest| rest.strip_prefix(authority.as_str())) == Some(target.as_str())
}
