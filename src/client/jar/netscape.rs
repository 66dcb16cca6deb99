//! Cookies as text: the `cookies.txt` of Netscape, which curl, wget and browsers' exports use.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::rules::{Lifetime, SetCookie, canonical_host, is_host, until};
use super::store::{CookieStore, StoredCookie};
use crate::error::{Error, ErrorKind, Result};

/// Whether cookies of the session are among those that are saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SessionCookies {
    /// They end here, as in a browser that is closed.
    #[default]
    Dropped,
    /// They are saved too, with 0 for their end.
    Kept,
}

const HEAD: &str = "# Netscape HTTP Cookie File\n";
const HTTP_ONLY: &str = "#HttpOnly_";
const COLUMN_COUNT: usize = 7;

/// Domain, whether hosts below it get it too, path, whether it is secure, end, name and value,
/// between tabs.
pub(super) fn write(cookies: &[StoredCookie], session: SessionCookies) -> String {
    let mut text = String::from(HEAD);
    for cookie in cookies.iter().filter(|cookie| cookie.expires.is_some() || session == SessionCookies::Kept) {
        // A tab in the name would end its column, and what is not UTF-8 is no text.
        if cookie.name.contains('\t') || cookie.octets.is_some() {
            continue;
        }
        let http_only = if cookie.http_only { HTTP_ONLY } else { "" };
        let dot = if cookie.host_only { "" } else { "." };
        let (below, secure) = (flag(!cookie.host_only), flag(cookie.secure));
        let StoredCookie { domain, path, name, value, .. } = cookie;
        let end = cookie.expires.map_or(0, seconds);
        // Writing to a `String` does not fail.
        let _ = writeln!(text, "{http_only}{dot}{domain}\t{below}\t{path}\t{secure}\t{end}\t{name}\t{value}");
    }
    text
}

fn flag(is_so: bool) -> &'static str {
    if is_so { "TRUE" } else { "FALSE" }
}

/// Rounded up, so that no end becomes the 0 of a session.
fn seconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs().saturating_add(u64::from(since.subsec_nanos() > 0)).max(1)
}

pub(super) fn read(text: &str, now: SystemTime) -> Result<CookieStore> {
    let mut store = CookieStore::default();
    for (at, line) in text.lines().enumerate() {
        let (line, http_only) = line.strip_prefix(HTTP_ONLY).map_or((line, false), |line| (line, true));
        if line.trim().is_empty() || (line.starts_with('#') && !http_only) {
            continue;
        }
        let (mut cookie, host_only) = cookie_of(line, now).ok_or_else(|| malformed(at.saturating_add(1)))?;
        cookie.http_only = http_only;
        // What a jar would not take from a server, it does not take from a file.
        let _ = store.restore(cookie, host_only, now);
    }
    Ok(store)
}

fn malformed(line: usize) -> Error {
    Error::new(ErrorKind::Malformed, format!("line {line} is no cookie of a cookies.txt"))
}

fn cookie_of(line: &str, now: SystemTime) -> Option<(SetCookie, bool)> {
    // The value is the last column, and may have tabs in it.
    let mut columns = line.splitn(COLUMN_COUNT, '\t');
    let domain = columns.next()?;
    let host_only = !columns.next()?.eq_ignore_ascii_case("TRUE");
    let path = columns.next().filter(|path| path.starts_with('/'))?;
    let secure = columns.next()?.eq_ignore_ascii_case("TRUE");
    let lifetime = lifetime(columns.next()?, now)?;
    let name = columns.next()?;
    // An editor may have cut the tab before a value that is empty.
    let value = columns.next().unwrap_or_default();
    let domain = canonical_host(domain.strip_prefix('.').unwrap_or(domain));
    if !is_host(&domain) {
        return None;
    }
    let (name, value, path) = (name.to_owned(), value.to_owned().into(), path.to_owned());
    Some((SetCookie { name, value, domain, path, lifetime, secure, ..SetCookie::default() }, host_only))
}

/// Seconds from 1970 on, a fraction passed over; 0 is the session.
fn lifetime(column: &str, now: SystemTime) -> Option<Lifetime> {
    let whole = column.split('.').next().unwrap_or_default();
    let seconds: i64 = whole.parse().ok()?;
    if seconds == 0 {
        return Some(Lifetime::Session);
    }
    let Ok(seconds) = u64::try_from(seconds) else { return Some(Lifetime::Over) };
    let end = UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?;
    Some(until(end, now))
}
