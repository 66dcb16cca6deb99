//! What of a response takes a client's knowledge of URLs.

use http::Uri;

use super::url::{IntoUrl, join};
use crate::error::Result;
use crate::message::Response;

impl Response {
    /// Where `Location` leads, seen from what was asked (Go's `Location`); `None` where there is
    /// none, or an empty one. The first counts where there are several.
    ///
    /// In a response that no client got, it has to be a whole URL.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when it is no URL with http or https.
    pub fn location(&self) -> Result<Option<Uri>> {
        let Some(location) = self.header.get_bytes("Location").filter(|value| !value.trim_ascii().is_empty()) else {
            return Ok(None);
        };
        match self.url() {
            Some(url) => join(url, location).map(Some),
            None => String::from_utf8_lossy(location).trim_ascii().into_url().map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use crate::message::ResponseInfo;

    #[test]
    fn a_location_is_seen_from_what_was_asked() {
        let asked = || {
            let asked = Some((Method::GET, Uri::from_static("http://a.test/x/y")));
            Response { info: Some(Box::new(ResponseInfo { asked, ..ResponseInfo::default() })), ..by_hand() }
        };
        let leads = |response: Response, location: &str| response.with_header("Location", location).location();
        assert_eq!(asked().location().unwrap(), None);
        assert_eq!(leads(asked(), " ").unwrap(), None);
        assert_eq!(leads(asked(), "z").unwrap().unwrap(), "http://a.test/x/z");
        assert!(leads(asked(), "ftp://a.test/").is_err());
        assert_eq!(leads(by_hand(), "http://b.test/").unwrap().unwrap(), "http://b.test/");
        assert!(leads(by_hand(), "/z").is_err());
    }

    fn by_hand() -> Response {
        Response::new("")
    }
}
