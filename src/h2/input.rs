//! Input that is looked at piece by piece.

use super::event::CoreEvent;

/// What to do after a piece of input.
pub(super) enum Taken<'a> {
    Event(CoreEvent<'a>),
    /// Look at what follows.
    GoOn,
    /// The rest is part of a frame.
    NeedMore,
}

impl<'a> Taken<'a> {
    pub(super) fn of(event: Option<CoreEvent<'a>>) -> Taken<'a> {
        event.map_or(Taken::GoOn, Taken::Event)
    }
}

/// Drops so much of the input, or all of it, and says how much that was.
pub(super) fn skip(input: &mut &[u8], bytes: usize) -> usize {
    let here = bytes.min(input.len());
    *input = input.get(here..).unwrap_or_default();
    here
}
