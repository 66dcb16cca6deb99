//! How much of a body may be read.

use super::{Body, BodyAllowance, LimitOrigin};

impl Body {
    /// Allows at most `limit` bytes from here on (Go's `MaxBytesReader`). The read that would
    /// go beyond fails with [`BodyTooLarge`](crate::ErrorKind::BodyTooLarge), whose response is 413 when a handler
    /// returns it; where the length is announced, the first read does.
    ///
    /// 0 allows no byte. Of two limits the smaller one holds.
    pub fn limit(&mut self, limit: u64) {
        let left = self.allowed.map_or(limit, |allowed| allowed.left.min(limit));
        self.allowed = Some(BodyAllowance { limit: left, left, origin: LimitOrigin::Caller });
    }

    /// Limits the content as [`limit`](Self::limit) does, for a layer. Where the limit that holds was set by a layer
    /// around this one it goes, and `around`, what held before that, comes back, less what was read since.
    /// Returns what held before this limit.
    pub(crate) fn limit_in_layer(
        &mut self,
        limit: u64,
        around: Option<Option<BodyAllowance>>,
    ) -> Option<BodyAllowance> {
        if let (Some(around), Some(now)) = (around, self.allowed.filter(|now| now.origin == LimitOrigin::Layer)) {
            let read = now.limit.saturating_sub(now.left);
            self.allowed = around.map(|around| BodyAllowance { left: around.left.saturating_sub(read), ..around });
        }
        let before = self.allowed;
        self.limit(limit);
        if let Some(allowed) = &mut self.allowed {
            allowed.origin = LimitOrigin::Layer;
        }
        before
    }

    /// Whether a limit was set.
    pub(crate) fn is_limited(&self) -> bool {
        self.allowed.is_some()
    }
}
