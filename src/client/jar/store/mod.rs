//! The cookies of a jar: how they are set, sent, dropped at their end, and dropped to make room
//! (RFC 6265bis §5.7 and §5.8).
//!
//! There is no clock here: the time is an argument of each call.

use std::collections::HashMap;
use std::time::SystemTime;

use super::rules::{
    CookieScope, CookieUrl, Lifetime, SetCookie, check_pair, check_prefix, domain_matches, is_address, is_control,
    is_public_suffix, path_matches, read, scope, site,
};
use crate::message::SameSite;

/// The most cookies of one site: a registrable domain with all below it (what browsers keep).
const MAX_SITE_COUNT: usize = 180;

/// The most cookies of all (RFC 6265bis §6.1).
const MAX_TOTAL_COUNT: usize = 3000;

/// A cookie in a [`Jar`](crate::cookie::Jar), with all that is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredCookie {
    /// The name; empty where the server gave none.
    pub name: String,
    /// The value as it was set, quotes included. Of one that is not UTF-8, which
    /// [`value_bytes`](StoredCookie::value_bytes) has, the rest is replaced by U+FFFD.
    pub value: String,
    /// The host that it is for, in lower case, without a dot at either end.
    pub domain: String,
    /// Whether it is for that host alone, and not for those below it.
    pub host_only: bool,
    /// The path below which it is sent.
    pub path: String,
    /// Whether it is sent over secure connections only.
    pub secure: bool,
    /// Whether it is kept from scripts.
    pub http_only: bool,
    /// Whether browsers send it with requests that start on other sites. A client has no sites, so
    /// this is kept and of no effect.
    pub same_site: SameSite,
    /// When it ends; `None` for a cookie of the session, which ends with the jar.
    pub expires: Option<SystemTime>,
    /// When it was set first.
    pub created: SystemTime,
    /// When it was last set or sent.
    pub last_access: SystemTime,
    /// The value, where it is not UTF-8.
    pub(super) octets: Option<Box<[u8]>>,
}

impl StoredCookie {
    /// The value in the octets that the server has set and gets back (RFC 6265 §5.4).
    pub fn value_bytes(&self) -> &[u8] {
        self.octets.as_deref().unwrap_or(self.value.as_bytes())
    }
}

#[derive(Debug, Default)]
pub(super) struct CookieStore {
    /// By site, so that a request looks at few of them.
    sites: HashMap<String, Vec<StoreEntry>>,
    count: usize,
    /// How many cookies were ever made.
    made_count: u64,
}

#[derive(Debug)]
struct StoreEntry {
    cookie: StoredCookie,
    /// Its number in the order in which cookies were made: a clock can stand still or jump.
    made: u64,
}

impl CookieStore {
    /// Takes one `Set-Cookie` line; the error says why it is passed over.
    pub(super) fn set(&mut self, url: &CookieUrl, line: &[u8], now: SystemTime) -> Result<(), &'static str> {
        let mut line = read(line, now)?;
        let scope = scope(&url.host, &line.domain)?;
        if line.secure && !url.is_secure {
            return Err("a secure cookie came over a connection that is not");
        }
        // Before the path is filled in: the prefix wants it said.
        check_prefix(&line, &scope)?;
        if line.path.is_empty() {
            url.default_path().clone_into(&mut line.path);
        }
        if !url.is_secure && self.would_cover_secure(&line, &scope) {
            return Err("a secure cookie of that name is there");
        }
        self.put(line, scope, now);
        Ok(())
    }

    /// Takes a cookie that was saved; the error says why it is passed over.
    pub(super) fn restore(&mut self, line: SetCookie, host_only: bool, now: SystemTime) -> Result<(), &'static str> {
        check_pair(&line.name, &line.value)?;
        if line.path.chars().any(is_control) {
            return Err("a cookie has a control character");
        }
        let is_for_all = !host_only && !is_address(&line.domain);
        if is_for_all && is_public_suffix(&line.domain) {
            return Err("a cookie is for a public suffix");
        }
        let scope =
            if is_for_all { CookieScope::Domain(line.domain.clone()) } else { CookieScope::Host(line.domain.clone()) };
        check_prefix(&line, &scope)?;
        self.put(line, scope, now);
        Ok(())
    }

    /// The `Cookie` field of a request: those with the longest path first, and of these the oldest
    /// (RFC 6265bis §5.8.3).
    pub(super) fn field(&mut self, url: &CookieUrl, now: SystemTime) -> Option<Vec<u8>> {
        if self.sites.is_empty() {
            return None;
        }
        let site = site(&url.host);
        self.drop_expired_of(site, now);
        let entries = self.sites.get_mut(site)?;
        let mut found: Vec<&mut StoreEntry> = entries.iter_mut().filter(|entry| entry.is_for(url)).collect();
        found.sort_by(|a, b| b.cookie.path.len().cmp(&a.cookie.path.len()).then(a.made.cmp(&b.made)));
        let mut field = Vec::new();
        for entry in found {
            entry.cookie.last_access = now;
            if !field.is_empty() {
                field.extend_from_slice(b"; ");
            }
            if !entry.cookie.name.is_empty() {
                field.extend_from_slice(entry.cookie.name.as_bytes());
                field.push(b'=');
            }
            field.extend_from_slice(entry.cookie.value_bytes());
        }
        (!field.is_empty()).then_some(field)
    }

    /// All that have not ended, in the order in which they were made.
    pub(super) fn all(&self, now: SystemTime) -> Vec<StoredCookie> {
        let mut all: Vec<&StoreEntry> = self.sites.values().flatten().filter(|entry| !entry.is_over(now)).collect();
        all.sort_by_key(|entry| entry.made);
        all.into_iter().map(|entry| entry.cookie.clone()).collect()
    }

    pub(super) fn retain(&mut self, mut keep: impl FnMut(&StoredCookie) -> bool) {
        self.sites.retain(|_, entries| {
            entries.retain(|entry| keep(&entry.cookie));
            !entries.is_empty()
        });
        self.count = self.sites.values().map(Vec::len).sum();
    }

    /// RFC 6265bis §5.7, step 16: what is not secure must not hide a secure cookie, or be mistaken
    /// for it.
    fn would_cover_secure(&self, line: &SetCookie, scope: &CookieScope) -> bool {
        let domain = scope.domain();
        let entries = self.sites.get(site(domain)).into_iter().flatten();
        entries.map(|entry| &entry.cookie).any(|secure| {
            secure.secure
                && secure.name == line.name
                && (domain_matches(domain, &secure.domain) || domain_matches(&secure.domain, domain))
                && path_matches(&line.path, &secure.path)
        })
    }

    fn put(&mut self, line: SetCookie, scope: CookieScope, now: SystemTime) {
        let key = site(scope.domain()).to_owned();
        let entries = self.sites.entry(key.clone()).or_default();
        let (domain, host_only) = scope.into_parts();
        let is_same = |entry: &StoreEntry| {
            let old = &entry.cookie;
            old.name == line.name && old.domain == domain && old.host_only == host_only && old.path == line.path
        };
        // One that has ended may still be here: it is replaced too, but does not count as the same cookie below.
        let old = entries.iter().position(is_same).map(|at| entries.swap_remove(at));
        self.count = self.count.saturating_sub(usize::from(old.is_some()));
        let expires = match line.lifetime {
            Lifetime::Over => return self.forget_if_empty(&key),
            Lifetime::Session => None,
            Lifetime::Until(time) => Some(time),
        };
        self.made_count = self.made_count.saturating_add(1);
        let old = old.filter(|old| !old.is_over(now));
        let (created, made) = old.map_or((now, self.made_count), |old| (old.cookie.created, old.made));
        let SetCookie { name, value, path, secure, http_only, same_site, .. } = line;
        let cookie = StoredCookie {
            name,
            value: value.text,
            octets: value.octets,
            domain,
            host_only,
            path,
            secure,
            http_only,
            same_site,
            expires,
            created,
            last_access: now,
        };
        entries.push(StoreEntry { cookie, made });
        self.count = self.count.saturating_add(1);
        self.make_room(&key, now);
    }

    /// RFC 6265bis §5.7 at its end: first what has ended, then, where one site has too many, its
    /// cookies that are not secure, then any of it, and at last any of all; of each kind the one
    /// that was not used for longest.
    fn make_room(&mut self, key: &str, now: SystemTime) {
        if self.sites.get(key).is_some_and(|entries| entries.len() > MAX_SITE_COUNT) {
            self.drop_expired_of(key, now);
        }
        while let Some(entries) = self.sites.get_mut(key).filter(|entries| entries.len() > MAX_SITE_COUNT) {
            let rank = |entry: &StoreEntry| (entry.cookie.secure, entry.cookie.last_access, entry.made);
            let Some(at) = (0..entries.len()).min_by_key(|&at| entries.get(at).map(rank)) else { break };
            entries.swap_remove(at);
            self.count = self.count.saturating_sub(1);
        }
        if self.count > MAX_TOTAL_COUNT {
            self.retain_entries(|entry| !entry.is_over(now));
        }
        while self.count > MAX_TOTAL_COUNT {
            let rank = |entry: &StoreEntry| (entry.cookie.last_access, entry.made);
            let Some((_, oldest)) = self.sites.values().flatten().map(rank).min() else { break };
            self.retain_entries(|entry| entry.made != oldest);
        }
    }

    fn drop_expired_of(&mut self, key: &str, now: SystemTime) {
        let Some(entries) = self.sites.get_mut(key) else { return };
        let before = entries.len();
        entries.retain(|entry| !entry.is_over(now));
        self.count = self.count.saturating_sub(before.saturating_sub(entries.len()));
        self.forget_if_empty(key);
    }

    fn forget_if_empty(&mut self, key: &str) {
        if self.sites.get(key).is_some_and(Vec::is_empty) {
            self.sites.remove(key);
        }
    }

    fn retain_entries(&mut self, keep: impl Fn(&StoreEntry) -> bool) {
        self.sites.retain(|_, entries| {
            entries.retain(&keep);
            !entries.is_empty()
        });
        self.count = self.sites.values().map(Vec::len).sum();
    }
}

impl StoreEntry {
    fn is_over(&self, now: SystemTime) -> bool {
        self.cookie.expires.is_some_and(|expires| expires <= now)
    }

    fn is_for(&self, url: &CookieUrl) -> bool {
        let cookie = &self.cookie;
        let is_host =
            if cookie.host_only { cookie.domain == url.host } else { domain_matches(&url.host, &cookie.domain) };
        is_host && path_matches(&url.path, &cookie.path) && (!cookie.secure || url.is_secure)
    }
}

impl CookieScope {
    fn domain(&self) -> &str {
        match self {
            CookieScope::Host(name) | CookieScope::Domain(name) => name,
        }
    }

    /// The domain, and whether hosts below it are left out.
    fn into_parts(self) -> (String, bool) {
        match self {
            CookieScope::Host(host) => (host, true),
            CookieScope::Domain(domain) => (domain, false),
        }
    }
}

#[cfg(test)]
mod tests;
