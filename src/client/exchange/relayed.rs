//! What is different where a request is sent on for somebody else.

use crate::message::Request;

/// Lies in the extensions of a request that is sent on for somebody else. What it says is its sender's: it is not
/// sent again without its `Expect`, nor because it has an `Idempotency-Key`, and content for which its sender
/// waits to be asked is not asked for once there is a response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Relayed;

impl Relayed {
    pub(super) fn is(request: &Request) -> bool {
        request.extensions.get::<Relayed>().is_some()
    }
}
