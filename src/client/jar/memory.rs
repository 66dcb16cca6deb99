//! The public jar: the store behind a lock, with the time of the system's clock.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use http::Uri;

use super::CookieJar;
use super::netscape::{self, SessionCookies};
use super::rules::CookieUrl;
use super::store::{CookieStore, StoredCookie};
use crate::error::{Error, ErrorKind, Result};
use crate::message::{Cookie, Header};

/// Keeps cookies in memory, by the rules that browsers follow (RFC 6265bis; Go's `cookiejar.Jar`).
///
/// - A cookie is for the host that sets it alone, or for the domain that it names and all below it.
///   A domain is refused when it is not the host's own, or is a public suffix (`com`, `co.uk`,
///   `github.io`: the list is compiled in, and is as old as the crate `psl`). Addresses and hosts
///   that are public suffixes themselves have cookies of their own only.
/// - Secure cookies are set and sent over https, and over http to `localhost`, to names below it
///   and to loopback addresses. What comes over http neither sets one nor hides one.
/// - `Max-Age` goes before `Expires`; no cookie lives longer than 400 days. One that does not say
///   lives as long as the jar.
/// - The prefixes `__Host-` and `__Secure-` are held to what they promise, in any case of letters.
/// - `SameSite` is kept and of no effect: a client has no pages.
/// - A cookie of more than 4,096 bytes, one with a control character other than a tab, and one that
///   is not UTF-8 are passed over, and so are attributes of more than 1,024 bytes. At most 180 cookies of a site
///   (`example.co.uk` with all below it) and 3,000 of all are kept; beyond that those go first that
///   have ended, then of a site with too many those that are not secure, then those that were not
///   used for longest.
///
/// It can be asked from many tasks at once, and be shared by clients in an `Arc`.
///
/// ```
/// use nethttp::cookie::{CookieJar, Jar};
/// use nethttp::{Header, Uri};
///
/// let jar = Jar::new();
/// let response: Header = [("Set-Cookie", "id=7; Domain=a.test; Path=/x; Max-Age=60")].into_iter().collect();
/// jar.set_cookies(&Uri::from_static("https://www.a.test/"), &response);
///
/// assert_eq!(jar.cookies(&Uri::from_static("http://other.a.test/x/y")).as_deref(), Some("id=7"));
/// assert_eq!(jar.cookies(&Uri::from_static("http://other.a.test/")), None);
/// ```
#[derive(Default)]
pub struct Jar(Mutex<CookieStore>);

impl Jar {
    /// A jar without cookies.
    pub fn new() -> Jar {
        Jar::default()
    }

    /// Puts a cookie in as if a response from this URL had set it.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when the cookie is not [valid](Cookie::validate), and when a jar would
    /// not take it from there: the message says why.
    pub fn add(&self, url: &Uri, cookie: &Cookie) -> Result<()> {
        cookie.validate()?;
        let invalid = |reason: &'static str| Error::new(ErrorKind::Invalid, reason);
        let url = CookieUrl::of(url).ok_or_else(|| invalid("cookies are for http and https"))?;
        self.store().set(&url, cookie.to_string().as_bytes(), SystemTime::now()).map_err(invalid)
    }

    /// All cookies that have not ended, in the order in which they were first set: a copy.
    pub fn iter(&self) -> impl Iterator<Item = StoredCookie> + use<> {
        self.store().all(SystemTime::now()).into_iter()
    }

    /// Keeps the cookies for which `keep` returns true, and drops all others. `keep` must not call this jar.
    ///
    /// ```
    /// # let jar = nethttp::cookie::Jar::new();
    /// jar.retain(|cookie| cookie.expires.is_some()); // the session is over
    /// ```
    pub fn retain(&self, keep: impl FnMut(&StoredCookie) -> bool) {
        self.store().retain(keep);
    }

    /// Drops all cookies.
    pub fn clear(&self) {
        self.retain(|_| false);
    }

    /// All cookies as the text of a `cookies.txt`, which curl and others read: a cookie a line, its
    /// domain, whether hosts below get it too, path, whether it is secure, its end in seconds from
    /// 1970 on (0 for the session), name and value, between tabs. `#HttpOnly_` stands before those
    /// that are kept from scripts.
    ///
    /// What the text cannot say is lost: `SameSite`, when the cookie was set, and a cookie with a tab in
    /// its name. Whoever can read
    /// it can be the user: store it as a secret.
    ///
    /// ```
    /// use nethttp::cookie::{Jar, SessionCookies};
    /// use nethttp::{Cookie, Uri};
    ///
    /// let jar = Jar::new();
    /// jar.add(&Uri::from_static("https://a.test/"), &Cookie { secure: true, ..Cookie::new("id", "7") })?;
    /// let text = jar.to_netscape(SessionCookies::Kept);
    /// assert_eq!(text, "# Netscape HTTP Cookie File\na.test\tFALSE\t/\tTRUE\t0\tid\t7\n");
    /// assert_eq!(Jar::from_netscape(&text)?.iter().next().unwrap().value, "7");
    /// # Ok::<(), nethttp::Error>(())
    /// ```
    pub fn to_netscape(&self, session: SessionCookies) -> String {
        let all: Vec<StoredCookie> = self.iter().collect();
        netscape::write(&all, session)
    }

    /// A jar with the cookies of a `cookies.txt`. Those that have ended, and those that a jar would
    /// take from no server, such as one for all of `com`, are left out.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] for the first line that is neither a cookie nor a comment nor blank;
    /// the message has its number and nothing of its text.
    pub fn from_netscape(text: &str) -> Result<Jar> {
        Ok(Jar(Mutex::new(netscape::read(text, SystemTime::now())?)))
    }

    /// The lock ignores poison: a panic in the caller's `keep` leaves whole cookies behind.
    fn store(&self) -> MutexGuard<'_, CookieStore> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CookieJar for Jar {
    fn set_cookies(&self, url: &Uri, header: &Header) {
        if !header.contains("Set-Cookie") {
            return;
        }
        let Some(url) = CookieUrl::of(url) else { return };
        let now = SystemTime::now();
        let mut store = self.store();
        for line in header.values_bytes("Set-Cookie") {
            // A line that is not kept is no reason to lose the others.
            let _ = store.set(&url, line, now);
        }
    }

    fn cookies(&self, url: &Uri) -> Option<String> {
        self.cookie_field(url).map(|field| String::from_utf8_lossy(&field).into_owned())
    }

    fn cookie_field(&self, url: &Uri) -> Option<Vec<u8>> {
        let url = CookieUrl::of(url)?;
        self.store().field(&url, SystemTime::now())
    }
}

impl fmt::Debug for Jar {
    /// How many cookies there are, and nothing of what is in them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jar").field("cookies", &self.iter().count()).finish()
    }
}
