//! Cookies: read and written by servers, kept by clients.
//!
//! A handler reads them with [`Request::cookie`](crate::Request::cookie) and sends them with
//! [`set_cookie`]. A client keeps them where it has a [`CookieJar`], such as [`Jar`].
//!
//! ```
//! use std::time::Duration;
//!
//! use nethttp::Header;
//! use nethttp::cookie::{Cookie, SameSite, set_cookie};
//!
//! let mut header = Header::new();
//! let day = Duration::from_secs(24 * 60 * 60);
//! let cookie = Cookie { max_age: Some(day), same_site: SameSite::Lax, ..Cookie::new("theme", "dark") };
//! set_cookie(&mut header, &cookie)?;
//! assert_eq!(header.get("Set-Cookie"), Some("theme=dark; Max-Age=86400; SameSite=Lax"));
//! # Ok::<(), nethttp::Error>(())
//! ```
//!
//! The guide has a page on it: `docs/guide/cookies.md`.

#[cfg(feature = "client")]
pub use crate::client::jar::CookieJar;
#[cfg(all(feature = "client", feature = "cookies"))]
pub use crate::client::jar::{Jar, SessionCookies, StoredCookie};
pub use crate::message::{Cookie, SameSite, parse_cookie, parse_set_cookie, set_cookie};
