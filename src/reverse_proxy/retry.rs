//! Whether a request that failed at one upstream goes to another one.

use http::Method;

use super::upstream::UpstreamFailure;
use crate::error::{Error, Sent};

/// Whether a request may be sent once more, to another upstream (RFC 9110 §9.2.2). The question is whether it was
/// sent: if not, whatever it asks for was not done. If it was, perhaps in part, only a method that does the same when
/// it is done twice is sent again, and only where the upstream was lost: one that is slow has answered with that, and
/// one that answered nonsense has answered.
///
/// That its content can be had again is asked for elsewhere.
pub(super) fn may_go_elsewhere(error: &Error, method: &Method) -> bool {
    let Some(failure) = UpstreamFailure::of(error) else { return false };
    let was_not_sent = error.sent() == Some(Sent::No);
    let was_lost = matches!(failure, UpstreamFailure::Connect | UpstreamFailure::CutOff);
    failure != UpstreamFailure::Malformed && (was_not_sent || (was_lost && method.is_idempotent()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{ErrorKind, Phase};

    #[test]
    fn what_was_sent_goes_elsewhere_only_where_twice_is_as_once() {
        use Sent::{Fully, No, Partly};
        for (kind, phase, sent, get, post) in [
            (ErrorKind::Io, Phase::Connect, No, true, true),
            (ErrorKind::TimedOut, Phase::Connect, No, true, true),
            (ErrorKind::Resolve, Phase::Resolve, No, true, true),
            (ErrorKind::Io, Phase::Write, No, true, true),
            (ErrorKind::CutOff, Phase::Head, Partly, true, false),
            (ErrorKind::CutOff, Phase::Head, Fully, true, false),
            (ErrorKind::Io, Phase::Head, Fully, true, false),
            (ErrorKind::TimedOut, Phase::Head, Fully, false, false),
            (ErrorKind::TimedOut, Phase::Write, Partly, false, false),
            (ErrorKind::Refused, Phase::Head, Fully, false, false),
            (ErrorKind::TimedOut, Phase::Pool, No, false, false),
            (ErrorKind::Invalid, Phase::Write, No, false, false),
        ] {
            let error = Error::new(kind, "").during(phase).with_sent(sent);
            let may = [Method::GET, Method::POST].map(|method| may_go_elsewhere(&error, &method));
            assert_eq!(may, [get, post], "{kind:?} {phase:?} {sent:?}");
        }
    }
}
