//! Without the feature `gzip` nothing is encoded while it is sent.

use super::source::ContentSource;
use crate::error::Result;
use crate::server::ResponseWriter;

/// Has no values: nothing is encoded while it is sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum OnTheFly {}

impl OnTheFly {
    pub(super) fn name(self) -> &'static str {
        match self {}
    }

    pub(super) async fn send(self, _: &mut ResponseWriter, _: u64, _: &mut impl ContentSource) -> Result<()> {
        match self {}
    }
}
