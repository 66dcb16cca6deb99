//! Without the feature `hyper-upgrade` a service finds no upgrade in its request.

use crate::error::Result;
use crate::message::{Body, Response};
use crate::server::ResponseWriter;

/// Never made.
pub(super) enum OfferedUpgrade {}

#[expect(clippy::unused_async, reason = "what is in its place waits")]
pub(super) async fn offer(_: &mut http::Request<Body>) -> Option<OfferedUpgrade> {
    None
}

impl OfferedUpgrade {
    #[expect(clippy::unused_async, reason = "as above")]
    pub(super) async fn accept(self, _: &mut ResponseWriter, _: Response) -> Result<()> {
        match self {}
    }
}
