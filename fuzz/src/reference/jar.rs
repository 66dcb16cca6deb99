//! What has to hold of the cookies in a jar (RFC 6265bis §5).

use nethttp::Uri;
use nethttp::cookie::{Jar, SessionCookies, StoredCookie};

/// A field that a response set.
pub struct SetCookie {
    site: String,
    pair: String,
    is_secure: bool,
}

impl SetCookie {
    pub fn new(url: &Uri, field: &[u8]) -> SetCookie {
        let text = String::from_utf8_lossy(field);
        let (pair, attributes) = text.split_once(';').unwrap_or((&text, ""));
        let blanks = [' ', '\t'];
        let (name, value) = pair.split_once('=').unwrap_or(("", pair));
        let (name, value) = (name.trim_matches(blanks), value.trim_matches(blanks));
        let pair = if name.is_empty() { value.to_owned() } else { format!("{name}={value}") };
        let attributes = attributes.split(';').map(|one| one.split('=').next().unwrap_or(one).trim_matches(blanks));
        let is_secure = attributes.into_iter().any(|name| name.eq_ignore_ascii_case("Secure"));
        SetCookie { site: site(url), pair, is_secure }
    }

    pub fn may_send(&self, pair: &str, url: &Uri) -> bool {
        let host = url.host().unwrap_or_default();
        let is_here =
            ["localhost", "127.0.0.1", "[::1]"].contains(&host.trim_end_matches('.')) || host.ends_with(".localhost");
        let is_safe = url.scheme_str() == Some("https") || is_here || !self.is_secure;
        self.pair == pair && self.site == site(url) && is_safe
    }
}

/// Under which anybody gets a name.
const PUBLIC: [&str; 6] = ["co.uk", "github.io", "com", "uk", "io", "test"];

/// The last label that is nobody's but its owner's, and what follows it; another host is a site itself.
fn site(url: &Uri) -> String {
    let host = url.host().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
    for suffix in PUBLIC {
        if let Some(before) = host.strip_suffix(&format!(".{suffix}")) {
            return format!("{}.{suffix}", before.rsplit('.').next().unwrap_or(before));
        }
    }
    // Of the suffixes that are not in the list above it is enough that the last labels agree.
    let is_name = host.ends_with(|c: char| c.is_ascii_alphabetic());
    let from = host.rmatch_indices('.').nth(1).map_or(0, |(at, _)| at + 1);
    if is_name { host[from..].to_owned() } else { host }
}

pub fn is_sane(cookie: &StoredCookie) {
    let has_control = |text: &str| text.bytes().any(|b| b.is_ascii_control() && b != b'\t');
    assert!(!has_control(&cookie.name) && !has_control(&cookie.value), "{cookie:?}");
    assert!(cookie.path.starts_with('/') && !cookie.domain.is_empty(), "{cookie:?}");
    assert!(cookie.name.len() + cookie.value.len() <= 4096, "{cookie:?}");
    assert!(cookie.host_only || !PUBLIC.contains(&cookie.domain.as_str()), "for a public suffix: {cookie:?}");
    let name = cookie.name.to_ascii_lowercase();
    assert!(cookie.secure || !name.starts_with("__secure-"), "{cookie:?}");
    let is_of_host = cookie.secure && cookie.host_only && cookie.path == "/";
    assert!(is_of_host || !name.starts_with("__host-"), "{cookie:?}");
}

/// What the jar is written as reads as the same jar, but for what the text cannot say.
pub fn survives(jar: &Jar) {
    jar.retain(|cookie| !cookie.name.contains('\t'));
    let text = jar.to_netscape(SessionCookies::Kept);
    let again = Jar::from_netscape(&text).unwrap_or_else(|error| panic!("its own text: {error} {text:?}"));
    let all = |jar: &Jar| jar.iter().map(|cookie| shown(&cookie)).collect::<Vec<_>>();
    assert_eq!(all(jar), all(&again), "{text:?}");
}

fn shown(cookie: &StoredCookie) -> String {
    let StoredCookie { name, value, domain, path, host_only, secure, http_only, expires, .. } = cookie;
    format!("{name:?} {value:?} {domain:?} {path:?} {host_only} {secure} {http_only} {}", expires.is_some())
}
