//! No coding is made without the feature `gzip`.

use super::answer::Source;
use crate::error::Result;
use crate::server::ResponseWriter;

/// There is none.
#[derive(Clone, Copy, Debug)]
pub(super) enum OnTheFly {}

impl OnTheFly {
    pub(super) fn name(self) -> &'static str {
        match self {}
    }

    pub(super) async fn send(self, _: &mut ResponseWriter, _: u64, _: &mut impl Source) -> Result<()> {
        match self {}
    }
}
