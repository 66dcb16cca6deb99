//! Where no charset but UTF-8 was compiled in.

use super::parameters::Parameterized;
use crate::error::{Error, ErrorKind, Result};

pub(crate) fn decode_text(bytes: Vec<u8>, content_type: Option<&[u8]>) -> Result<String> {
    let declared = content_type.and_then(Parameterized::parse);
    let is_other = declared.as_ref().and_then(|declared| declared.get("charset")).is_some_and(|name| {
        ![&b"utf-8"[..], b"utf8", b"us-ascii", b"ascii"].iter().any(|known| name.eq_ignore_ascii_case(known))
    });
    if is_other {
        return Err(Error::new(ErrorKind::Unsupported, "charsets other than UTF-8 need the feature `charset`"));
    }
    let mut text = String::from_utf8(bytes)
        .map_err(|error| Error::new(ErrorKind::Malformed, "the content is no UTF-8").with_source(error.utf8_error()))?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    Ok(text)
}
