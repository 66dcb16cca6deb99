//! The deadline that a gRPC client has set for its call.

use std::time::Duration;

use http::StatusCode;

use super::timeout::{RunWithin, run_within};
use crate::error::{Error, Phase, Result};
use crate::message::Request;
use crate::server::{Middleware, Next, ResponseWriter};

/// Ends a gRPC call when the deadline has passed that its client has set (`grpc-timeout`), with the status
/// `DEADLINE_EXCEEDED`. Requests that are no gRPC (their `Content-Type` says so) are left alone.
///
/// A client ends its call by itself when its time is over, which a server notices as a client that leaves. This
/// matters where that does not arrive: behind a proxy, or on a connection that is lost. It is for services that come
/// without a server of their own, as tonic's do behind [`tower::handler`](crate::tower): tonic's own server reads
/// the field in the same way.
///
/// - The time counts from the request's arrival here. What is around this middleware, and the way of the request, are
///   not in it.
/// - Where nothing of the response was sent, it is the status alone (gRPC's "Trailers-Only"). Where some was, the
///   stream is reset, for its content may be within a message.
/// - The handler is dropped, and [`Request::context`](crate::Request::context) within is cancelled.
/// - A field that cannot be read sets no deadline, as in tonic.
///
/// ```
/// use std::time::Duration;
///
/// use nethttp::middleware::GrpcDeadline;
/// use nethttp::{Handler, ServeMux, not_found};
///
/// # let greeter = not_found;
/// let mux = ServeMux::new();
/// // Ten seconds for calls without a deadline, and for those whose deadline is later.
/// mux.handle("/helloworld.Greeter/", greeter.wrapped_in(GrpcDeadline::new().at_most(Duration::from_secs(10))));
/// ```
#[derive(Clone, Debug, Default)]
pub struct GrpcDeadline {
    at_most: Option<Duration>,
}

impl GrpcDeadline {
    /// The client's deadline, and none where it sets none.
    pub fn new() -> GrpcDeadline {
        GrpcDeadline::default()
    }

    /// Allows each call so long at most, whatever its client says. `Duration::ZERO` is no limit.
    #[must_use]
    pub fn at_most(self, limit: Duration) -> GrpcDeadline {
        GrpcDeadline { at_most: Some(limit).filter(|limit| !limit.is_zero()) }
    }

    fn limit(&self, r: &Request) -> Option<Duration> {
        if !is_grpc(r) {
            return None;
        }
        let mut fields = r.header.values("Grpc-Timeout");
        let clients = fields.next().filter(|_| fields.next().is_none()).and_then(grpc_timeout);
        [clients, self.at_most].into_iter().flatten().min()
    }
}

impl Middleware for GrpcDeadline {
    async fn handle(&self, w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
        let Some(limit) = self.limit(r) else { return next.run(w, r).await };
        match run_within(limit, w, r, next).await {
            RunWithin::Ended(result) => result,
            RunWithin::Begun => Err(Error::timed_out(Phase::Handler)),
            RunWithin::Undone => {
                // The status of HTTP is 200 whatever came of a call ("gRPC over HTTP2", Responses).
                w.restart(Some(StatusCode::OK));
                w.header().set("Content-Type", "application/grpc");
                w.header().set("Grpc-Status", DEADLINE_EXCEEDED);
                w.header().set("Grpc-Message", "the deadline has passed");
                w.write_header(StatusCode::OK);
                Ok(())
            }
        }
    }
}

/// The number of the status ("gRPC status codes").
const DEADLINE_EXCEEDED: &str = "4";

/// `application/grpc`, perhaps with the format of its messages behind a plus or a semicolon.
fn is_grpc(r: &Request) -> bool {
    let kind = r.header.get("Content-Type").unwrap_or_default();
    let rest = kind.get(..16).filter(|start| start.eq_ignore_ascii_case("application/grpc")).and(kind.get(16..));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['+', ';']))
}

/// The value of the field ("gRPC over HTTP2", Requests): at most eight digits, and a unit.
fn grpc_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use http::{Method, Uri};

    use super::*;

    #[test]
    fn a_timeout_is_digits_and_a_unit() {
        for (text, seconds) in [
            ("1H", 3600.0),
            ("2M", 120.0),
            ("30S", 30.0),
            ("1500m", 1.5),
            ("0m", 0.0),
            ("250000u", 0.25),
            ("99999999n", 0.099_999_999),
            ("99999999H", 359_999_996_400.0),
        ] {
            assert_eq!(grpc_timeout(text), Some(Duration::from_secs_f64(seconds)), "{text}");
        }
        for text in ["", "S", "1", "1s", "1 S", "-1S", "+1S", "1.5S", "123456789S", "1é", "1SS", "\u{661}S"] {
            assert_eq!(grpc_timeout(text), None, "{text}");
        }
    }

    #[test]
    fn the_earlier_of_the_clients_deadline_and_the_servers_counts_for_grpc_alone() {
        let asked = |content_type: &str, timeouts: &[&str], at_most: u64| {
            let mut request = Request::new(Method::POST, Uri::from_static("/a.B/C"), ());
            request.header.set("Content-Type", content_type);
            timeouts.iter().for_each(|timeout| request.header.add("grpc-timeout", timeout));
            GrpcDeadline::new().at_most(Duration::from_secs(at_most)).limit(&request).map(|limit| limit.as_secs())
        };
        assert_eq!(asked("application/grpc", &["5S"], 10), Some(5));
        assert_eq!(asked("Application/gRPC+proto", &["15S"], 10), Some(10));
        assert_eq!(asked("application/grpc;x=y", &["15S"], 0), Some(15));
        assert_eq!(asked("application/grpc", &["nonsense"], 10), Some(10));
        assert_eq!(asked("application/grpc", &["1S", "2S"], 0), None);
        assert_eq!(asked("application/grpc", &[], 0), None);
        for other in ["application/grpc-web", "application/json", "application/gr", ""] {
            assert_eq!(asked(other, &["5S"], 10), None, "{other}");
        }
    }
}
