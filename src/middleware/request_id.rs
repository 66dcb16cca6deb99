//! A name for each request, by which its traces are found again.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use crate::error::Result;
use crate::message::{Request, is_token};
use crate::net::{IpNetwork, networks};
use crate::server::{HandlerFuture, Middleware, Next, ResponseWriter};

/// Longer ones are replaced: they go into logs and into the requests to other services.
const MAX_ID_BYTES: usize = 128;

/// Gives each request an id: in its header, for the handler and for records of requests; in its extensions, for
/// [`RequestId::of`]; and in its response, errors included.
///
/// An id is a UUID of version 7 (RFC 9562 §5.7), so ids sort by the time of their making. The field is
/// `X-Request-Id`. An id that came with the request is replaced, because anybody can send one: forged ids would
/// mix up the traces. From proxies of your own take theirs, with [`accept_from`](RequestId::accept_from).
///
/// ```
/// use nethttp::middleware::RequestId;
/// use nethttp::{Request, ResponseWriter, ServeMux};
///
/// let mux = ServeMux::new();
/// mux.handle("GET /", async |w: &mut ResponseWriter, r: &mut Request| {
///     let id = RequestId::of(r).unwrap_or_default().to_owned();
///     w.write(format!("this is request {id}\n")).await
/// });
/// mux.wrap(RequestId::new().accept_from(["10.0.0.0/8"]));
/// ```
#[derive(Clone)]
pub struct RequestId {
    name: Arc<str>,
    accepted: AcceptedIds,
    make: Option<Arc<dyn Fn(&Request) -> String + Send + Sync>>,
}

/// Whose ids are taken.
#[derive(Clone, Debug)]
enum AcceptedIds {
    From(Vec<IpNetwork>),
    FromAnybody,
}

/// In the extensions of a request.
#[derive(Clone)]
struct Id(Arc<str>);

impl Default for RequestId {
    fn default() -> RequestId {
        RequestId { name: "X-Request-Id".into(), accepted: AcceptedIds::From(Vec::new()), make: None }
    }
}

impl RequestId {
    /// Ids of its own in `X-Request-Id`.
    pub fn new() -> RequestId {
        RequestId::default()
    }

    /// The id of this request, where a `RequestId` lies around its handler.
    pub fn of(r: &Request) -> Option<&str> {
        r.extensions.get::<Id>().map(|id| &*id.0)
    }

    /// Another field than `X-Request-Id`.
    ///
    /// # Panics
    /// Where the name is no token.
    #[must_use]
    #[track_caller]
    pub fn header(mut self, name: &str) -> RequestId {
        assert!(is_token(name.as_bytes()), "{name:?} is no name of a field");
        self.name = name.into();
        self
    }

    /// Takes the id that came with a request whose connection is from one of these networks (`10.0.0.0/8`,
    /// `::1`). That is the proxy next to this server, whatever [`TrustedProxies`](super::TrustedProxies) says of
    /// the client. An id of more than 128 bytes, with other characters than ASCII letters, digits and
    /// `-_.:/+=~@`, or that came twice is replaced all the same.
    ///
    /// # Panics
    /// Where a text names no network.
    #[must_use]
    #[track_caller]
    pub fn accept_from<Text: AsRef<str>>(mut self, proxies: impl IntoIterator<Item = Text>) -> RequestId {
        self.accepted = AcceptedIds::From(networks(proxies));
        self
    }

    /// Takes the id that came with any request, under the rules of [`accept_from`](RequestId::accept_from): where
    /// all clients are one's own, or where the server is reached through a Unix socket alone.
    #[must_use]
    pub fn accept_from_anybody(mut self) -> RequestId {
        self.accepted = AcceptedIds::FromAnybody;
        self
    }

    /// Makes ids with this function, in place of UUIDs. An id that could not stand in a field is cleaned as all
    /// values are.
    #[must_use]
    pub fn make(mut self, make: impl Fn(&Request) -> String + Send + Sync + 'static) -> RequestId {
        self.make = Some(Arc::new(make));
        self
    }

    fn incoming(&self, r: &Request) -> Option<Arc<str>> {
        let accepted = match &self.accepted {
            AcceptedIds::FromAnybody => true,
            AcceptedIds::From(networks) => {
                let address = r.remote_addr.ip();
                address.is_some_and(|address| networks.iter().any(|network| network.contains(address)))
            }
        };
        let mut ids = r.header.values_bytes(&*self.name);
        let (Some(id), None) = (ids.next(), ids.next()) else { return None };
        let id = std::str::from_utf8(id).ok()?;
        (accepted && is_id(id)).then(|| id.into())
    }
}

impl RequestId {
    fn begin(&self, w: &mut ResponseWriter, r: &mut Request) {
        let made = || self.make.as_ref().map_or_else(uuid_v7, |make| make(r)).into();
        let id: Arc<str> = self.incoming(r).unwrap_or_else(made);
        r.header.set(&*self.name, &*id);
        r.extensions.insert(Id(id.clone()));
        let name = self.name.clone();
        w.before_head(move |_, header| header.set(&*name, &*id));
    }
}

impl Middleware for RequestId {
    async fn handle(&self, w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
        self.begin(w, r);
        next.run(w, r).await
    }

    // Done before what it is around begins, so it needs no future of its own.
    fn handle_boxed<'a>(&'a self, w: &'a mut ResponseWriter, r: &'a mut Request, next: Next<'a>) -> HandlerFuture<'a> {
        self.begin(w, r);
        next.run(w, r)
    }
}

/// Nothing that a log, a query or a shell could take for something else.
fn is_id(id: &str) -> bool {
    let is_id_byte = |b: u8| b.is_ascii_alphanumeric() || b"-_.:/+=~@".contains(&b);
    (1..=MAX_ID_BYTES).contains(&id.len()) && id.bytes().all(is_id_byte)
}

fn uuid_v7() -> String {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format_uuid(uuid_of(since_epoch, random()))
}

/// RFC 9562 §5.7: 48 bits of milliseconds, the version, 12 bits, the variant, 62 bits. The 12 are the part of the
/// millisecond (§6.2, method 3).
fn uuid_of(since_epoch: Duration, random: u64) -> u128 {
    let milliseconds = since_epoch.as_millis() & 0xffff_ffff_ffff;
    let fraction = u128::from(since_epoch.subsec_nanos() % 1_000_000) * 4096 / 1_000_000;
    let random = u128::from(random >> 2);
    milliseconds << 80 | 7 << 76 | fraction << 64 | 0b10 << 62 | random
}

fn format_uuid(uuid: u128) -> String {
    let (start, end) = ((uuid >> 64) as u64, uuid as u64);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        start >> 32,
        start >> 16 & 0xffff,
        start & 0xffff,
        end >> 48,
        end & 0xffff_ffff_ffff
    )
}

/// Never the same twice in a process, and not to be guessed: a keyed hash of a counter. The standard library has no
/// other source of randomness than the keys of its hashes.
fn random() -> u64 {
    static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    KEYS.hash_one(COUNTER.fetch_add(1, Ordering::Relaxed))
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let made_by = if self.make.is_some() { "a function" } else { "UUID version 7" };
        f.debug_struct("RequestId")
            .field("name", &self.name)
            .field("accepted", &self.accepted)
            .field("made_by", &made_by)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_has_its_time_its_version_and_its_variant() {
        // The milliseconds of the example in RFC 9562 §A.6.
        let uuid = uuid_of(Duration::from_millis(0x017F_22E2_79B0), u64::MAX);
        assert_eq!(format_uuid(uuid), "017f22e2-79b0-7000-bfff-ffffffffffff");
        assert_eq!(format_uuid(uuid_of(Duration::from_nanos(999_999), 0)), "00000000-0000-7fff-8000-000000000000");
    }

    #[test]
    fn ids_differ_and_sort_by_time() {
        let later = |at: u64| uuid_of(Duration::from_micros(at), random());
        assert!((0..10_000).map(later).is_sorted());
        let ids: std::collections::HashSet<u64> = (0..10_000).map(|_| random()).collect();
        assert_eq!(ids.len(), 10_000);
    }

    #[test]
    fn an_id_of_others_is_short_and_of_plain_characters() {
        for id in ["a", "7f-0_1.2:3/4+5=6~7@8", &"x".repeat(128)] {
            assert!(is_id(id), "{id}");
        }
        for id in ["", "a b", "a\"b", "a\\b", "a,b", "a;b", "<a>", "$(a)", "é", &"x".repeat(129)] {
            assert!(!is_id(id), "{id}");
        }
    }
}
