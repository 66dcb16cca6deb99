//! The address of a proxy, with the credentials for it.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;

use crate::error::{Error, ErrorKind, Result};

/// A proxy: how to speak to it, where it is, and as whom.
///
/// `Display` and `Debug` show no password. Two are equal when their credentials are, too: one
/// user's connections are not another's.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ProxyUrl {
    scheme: ProxyScheme,
    host: Box<str>,
    port: u16,
    credentials: Option<Credentials>,
}

/// How a proxy is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProxyScheme {
    /// HTTP; `CONNECT` for https.
    Http,
    /// The same over TLS.
    Https,
    /// SOCKS5 (RFC 1928). The proxy resolves the names, as in Go.
    Socks5,
    /// The same: where others tell the two apart, this is the one that resolves at the proxy.
    Socks5h,
}

/// Bytes, because a percent-encoding can hold any.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Credentials {
    user: Box<[u8]>,
    password: Box<[u8]>,
}

impl ProxyUrl {
    /// Reads `scheme://user:password@host:port`. All but the host may be missing: then it is
    /// `http`, nobody, and port 80, 443 or 1080 by the scheme. User and password are
    /// percent-encoded; a name is brought into the form of DNS (IDNA). A path counts for nothing.
    ///
    /// ```
    /// use nethttp::client::ProxyUrl;
    ///
    /// assert_eq!(ProxyUrl::parse("proxy.example:3128")?.to_string(), "http://proxy.example:3128");
    /// let url = ProxyUrl::parse("socks5://gopher:secret@[::1]")?;
    /// assert_eq!((url.host(), url.port()), ("::1", 1080));
    /// assert_eq!(url.to_string(), "socks5://gopher:***@[::1]:1080");
    /// # Ok::<(), nethttp::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid); the line says what is wrong and not what the text is, as
    /// there may be a password in it.
    pub fn parse(text: &str) -> Result<ProxyUrl> {
        let text = text.trim();
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (ProxyScheme::of(scheme)?, rest),
            None => (ProxyScheme::Http, text),
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (user_info, place) = match authority.rsplit_once('@') {
            Some((user_info, place)) => (user_info, place),
            None => ("", authority),
        };
        let (host, port) = split_port(place)?;
        let credentials = Credentials::of(user_info);
        let named_with_colon = credentials.as_ref().is_some_and(|credentials| credentials.user.contains(&b':'));
        if scheme.is_http() && named_with_colon {
            // RFC 7617 §2: the first colon ends the name.
            return Err(invalid("a user name with a colon cannot be sent"));
        }
        let port = port.unwrap_or(scheme.default_port());
        Ok(ProxyUrl { scheme, host: canonical_host(host)?, port, credentials })
    }

    /// How it is spoken to.
    pub fn scheme(&self) -> ProxyScheme {
        self.scheme
    }

    /// Its name or IP address; an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The same for this user, as they are (not percent-encoded). With an empty name, for nobody.
    #[must_use]
    pub fn with_credentials(mut self, user: impl AsRef<[u8]>, password: impl AsRef<[u8]>) -> ProxyUrl {
        let (user, password) = (user.as_ref().into(), password.as_ref().into());
        self.credentials = Some(Credentials { user, password }).filter(|credentials| !credentials.user.is_empty());
        self
    }

    /// All of it, to be put in order.
    pub(crate) fn parts(&self) -> (u8, &str, u16, Option<(&[u8], &[u8])>) {
        (self.scheme as u8, &self.host, self.port, self.credentials())
    }

    /// User and password, decoded.
    pub(crate) fn credentials(&self) -> Option<(&[u8], &[u8])> {
        self.credentials.as_ref().map(|credentials| (&*credentials.user, &*credentials.password))
    }

    /// The value of `Proxy-Authorization` (RFC 7617 §2), where there is a user and HTTP is spoken.
    pub(crate) fn authorization(&self) -> Option<String> {
        let (user, password) = self.credentials().filter(|_| self.scheme.is_http())?;
        Some(format!("Basic {}", STANDARD.encode([user, b":", password].concat())))
    }
}

impl FromStr for ProxyUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<ProxyUrl> {
        ProxyUrl::parse(text)
    }
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme)?;
        if let Some(credentials) = &self.credentials {
            write!(f, "{}:***@", credentials.user.escape_ascii())?;
        }
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProxyUrl({self})")
    }
}

impl ProxyScheme {
    fn of(text: &str) -> Result<ProxyScheme> {
        let all = [ProxyScheme::Http, ProxyScheme::Https, ProxyScheme::Socks5, ProxyScheme::Socks5h];
        let found = all.into_iter().find(|scheme| text.eq_ignore_ascii_case(scheme.name()));
        found.ok_or_else(|| invalid("its scheme is none of http, https, socks5 and socks5h"))
    }

    /// Whether it speaks HTTP, in TLS or not.
    pub(crate) fn is_http(self) -> bool {
        matches!(self, ProxyScheme::Http | ProxyScheme::Https)
    }

    fn name(self) -> &'static str {
        match self {
            ProxyScheme::Http => "http",
            ProxyScheme::Https => "https",
            ProxyScheme::Socks5 => "socks5",
            ProxyScheme::Socks5h => "socks5h",
        }
    }

    fn default_port(self) -> u16 {
        match self {
            ProxyScheme::Http => 80,
            ProxyScheme::Https => 443,
            ProxyScheme::Socks5 | ProxyScheme::Socks5h => 1080,
        }
    }
}

impl fmt::Display for ProxyScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Credentials {
    fn of(user_info: &str) -> Option<Credentials> {
        let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
        let decoded = |text| percent_decode_str(text).collect::<Vec<u8>>().into_boxed_slice();
        let credentials = Credentials { user: decoded(user), password: decoded(password) };
        Some(credentials).filter(|_| !user_info.is_empty())
    }
}

fn invalid(what: &'static str) -> Error {
    Error::new(ErrorKind::Invalid, format!("this is no URL of a proxy: {what}"))
}

/// The host, in its brackets where it has some, and the port, unless that is missing or empty.
fn split_port(place: &str) -> Result<(&str, Option<u16>)> {
    let in_brackets = place.find(']').map_or(0, |at| at + 1);
    let Some(colon) = place[in_brackets..].rfind(':').map(|at| in_brackets + at) else { return Ok((place, None)) };
    let (host, port) = (&place[..colon], &place[colon + 1..]);
    if port.is_empty() {
        return Ok((host, None));
    }
    let is_number = port.bytes().all(|b| b.is_ascii_digit());
    match port.parse() {
        Ok(port @ 1..) if is_number => Ok((host, Some(port))),
        _ => Err(invalid("its port is no number from 1 to 65535")),
    }
}

fn canonical_host(host: &str) -> Result<Box<str>> {
    match ::url::Host::parse(host) {
        Ok(::url::Host::Domain(name)) => Ok(name.into()),
        Ok(::url::Host::Ipv4(ip)) => Ok(ip.to_string().into()),
        Ok(::url::Host::Ipv6(ip)) => Ok(ip.to_string().into()),
        Err(_) if host.is_empty() => Err(invalid("it has no host")),
        Err(_) => Err(invalid("its host is no name and no address")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_comes_from_the_scheme() {
        for (text, read) in [
            ("proxy.test", "http://proxy.test:80"),
            ("proxy.test:3128", "http://proxy.test:3128"),
            ("127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://proxy.test", "http://proxy.test:80"),
            ("https://proxy.test", "https://proxy.test:443"),
            ("https://proxy.test:80/", "https://proxy.test:80"),
            ("HTTPS://PROXY.Test:", "https://proxy.test:443"),
            ("socks5://proxy.test", "socks5://proxy.test:1080"),
            ("socks5h://[::1]", "socks5h://[::1]:1080"),
            ("[2001:DB8:0::1]:8080", "http://[2001:db8::1]:8080"),
            (" http://proxy.test:1/path?query#fragment ", "http://proxy.test:1"),
            ("http://b\u{fc}cher.test", "http://xn--bcher-kva.test:80"),
        ] {
            let url = ProxyUrl::parse(text).unwrap();
            assert_eq!(url.to_string(), read, "{text}");
            assert_eq!(ProxyUrl::parse(read).unwrap(), url, "what is shown means the same");
        }
    }

    #[test]
    fn credentials_are_decoded_and_only_the_user_is_shown() {
        for (text, user, password, shown) in [
            ("http://u:p@a.test", "u", "p", "http://u:***@a.test:80"),
            ("u:p@a.test:1", "u", "p", "http://u:***@a.test:1"),
            ("http://u@a.test", "u", "", "http://u:***@a.test:80"),
            ("http://a%40b:p%3aq%2F@a.test", "a@b", "p:q/", "http://a@b:***@a.test:80"),
            ("socks5://a@b:p:q@a.test", "a@b", "p:q", "socks5://a@b:***@a.test:1080"),
            ("http://u%0a:p@a.test", "u\n", "p", r"http://u\n:***@a.test:80"),
        ] {
            let url = ProxyUrl::parse(text).unwrap();
            assert_eq!(url.credentials(), Some((user.as_bytes(), password.as_bytes())), "{text}");
            assert_eq!((url.to_string(), format!("{url:?}")), (shown.to_owned(), format!("ProxyUrl({shown})")));
        }
        assert_eq!(ProxyUrl::parse("http://@a.test").unwrap().credentials(), None);
    }

    #[test]
    fn what_is_no_proxy_is_refused_without_being_shown() {
        for text in [
            "",
            "http://",
            "ftp://s3cret@a.test",
            "http://s3cret:s3cret@",
            "http://u:s3cret@a.test:http",
            "http://u:s3cret@a.test:0",
            "http://u:s3cret@a.test:65536",
            "http://u:s3cret@a.test:+80",
            "http://u:s3cret@a test",
            "http://u:s3cret@[::1",
            "http://u:s3cret@::1",
            "http://u:s3cret@[::1]x:80",
            "http://u%3a:s3cret@a.test",
        ] {
            let error = ProxyUrl::parse(text).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn credentials_become_a_field_where_http_is_spoken() {
        let authorization = |text: &str| ProxyUrl::parse(text).unwrap().authorization();
        // RFC 7617 §2 has this example.
        assert_eq!(
            authorization("http://Aladdin:open%20sesame@a.test").as_deref(),
            Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")
        );
        assert_eq!(authorization("https://u@a.test").as_deref(), Some("Basic dTo="));
        assert_eq!(authorization("https://a.test"), None);
        assert_eq!(authorization("socks5://u:p@a.test"), None);
    }

    #[test]
    fn credentials_that_are_set_replace_those_of_the_text() {
        let url = ProxyUrl::parse("http://u:p@a.test").unwrap();
        let changed = url.clone().with_credentials("v", "q");
        assert_eq!(changed.credentials(), Some((&b"v"[..], &b"q"[..])));
        assert_ne!(changed, url);
        assert_eq!(changed.with_credentials("", "").credentials(), None);
    }
}
