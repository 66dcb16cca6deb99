//! What only some responses have: functions that are called at their head or end, content filters, a
//! measurement. All of it lies behind one pointer of the writer, so that a response without any pays one
//! look for it.

use std::panic::Location;

use http::StatusCode;
use tokio::time::Instant;

use super::filter::{DecideFilter, FilterChain};
use crate::message::Header;
use crate::server::record::RequestRecord;

#[derive(Debug, Default)]
pub(super) struct ResponseExtras {
    /// The response is a plain error of this crate's, of this much content.
    pub(super) plain_error_bytes: Option<u64>,
    pub(super) hooks: Vec<HeadHook>,
    /// Since when the response is measured, if it is, and when its head was decided.
    pub(super) measured_since: Option<Instant>,
    pub(super) head_decided: Option<Instant>,
    pub(super) end_hooks: Vec<EndHook>,
    /// What changes the content, once the head is decided.
    pub(super) filters: Option<Box<FilterChain>>,
    /// The first status that could not be set, and where the handler tried to.
    pub(super) ignored_status: Option<(StatusCode, &'static Location<'static>)>,
    /// The protocols that the client would switch to, as its `Upgrade` names them.
    pub(super) upgrades: Vec<u8>,
}

impl ResponseExtras {
    /// Forgets all but the memory for hooks: a server that has them has them for each request.
    pub(super) fn clear(&mut self) {
        let (mut hooks, mut end_hooks) = (std::mem::take(&mut self.hooks), std::mem::take(&mut self.end_hooks));
        hooks.clear();
        end_hooks.clear();
        *self = ResponseExtras { hooks, end_hooks, ..ResponseExtras::default() };
    }

    /// Another response takes the place of this one, which was not sent. What stands around both stays; what the
    /// client has offered, and the mistake of a handler, are no parts of the response.
    pub(super) fn restart(&mut self) {
        self.plain_error_bytes = None;
        self.head_decided = None;
        self.filters = None;
    }

    /// Of the field alone, so that the rest of the writer can be used beside it.
    pub(super) fn filters_of(extras: &mut Option<Box<ResponseExtras>>) -> Option<&mut FilterChain> {
        extras.as_mut()?.filters.as_deref_mut()
    }
}

/// What is called when the head is decided. Both kinds are in one list: what was added first stands around
/// what was added later, and sees what that has made of the fields.
pub(super) enum HeadHook {
    Fields(Box<dyn FnMut(StatusCode, &mut Header) + Send>),
    /// `None` once it has decided.
    Content(Option<DecideFilter>),
}

impl std::fmt::Debug for HeadHook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HeadHook")
    }
}

pub(super) struct EndHook(pub(super) Box<dyn FnOnce(&RequestRecord) + Send>);

impl EndHook {
    pub(super) fn run(self, record: &RequestRecord) {
        (self.0)(record);
    }
}

impl std::fmt::Debug for EndHook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EndHook")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_around_a_response_outlives_it_when_it_is_replaced_and_never_its_request() {
        let mut extras = ResponseExtras {
            plain_error_bytes: Some(1),
            hooks: vec![HeadHook::Fields(Box::new(|_, _| {}))],
            measured_since: Some(Instant::now()),
            head_decided: Some(Instant::now()),
            end_hooks: vec![EndHook(Box::new(|_| {}))],
            filters: Some(Box::new(FilterChain::new(None))),
            ignored_status: Some((StatusCode::OK, Location::caller())),
            upgrades: b"websocket,".to_vec(),
        };
        extras.restart();
        assert_eq!((extras.hooks.len(), extras.end_hooks.len(), extras.measured_since.is_some()), (1, 1, true));
        assert!(extras.ignored_status.is_some() && !extras.upgrades.is_empty());
        assert!(extras.plain_error_bytes.is_none() && extras.head_decided.is_none() && extras.filters.is_none());
        extras.clear();
        assert_eq!(format!("{extras:?}"), format!("{:?}", ResponseExtras::default()));
    }
}
