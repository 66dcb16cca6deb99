//! What has to hold whatever a peer does, for tests and for fuzzing.
//!
//! A client and a server are driven against each other by a script of steps, and in the end as far as they
//! go by themselves. Then every stream has ended, what was sent has arrived, all credit has come back, and
//! nobody waits: if nothing is under way and something is left to do, somebody was not woken.
//!
//! And one side is given frames that nobody made with care: no cut of them changes what happens.

mod any_frames;
mod pair;

use super::settings::CoreSettings;

pub(crate) use any_frames::{check_client_bytes, check_server_bytes};
pub(crate) use pair::check_pair;

/// The bytes of a script; zeros behind its end.
pub(super) struct StepScript<'a>(pub(super) &'a [u8]);

impl StepScript<'_> {
    pub(super) fn byte(&mut self) -> usize {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        usize::from(*first)
    }

    pub(super) fn pick(&mut self, from: &[u32]) -> u32 {
        from[self.byte() % from.len()]
    }

    pub(super) fn settings(&mut self) -> CoreSettings {
        let mut settings = CoreSettings {
            max_concurrent_streams: self.pick(&[1, 2, 10, 250]),
            stream_window_bytes: self.pick(&[1, 100, 20_000, 65_535, 262_144]),
            connection_window_bytes: self.pick(&[65_535, 100_000, 1 << 20]),
            max_frame_bytes: self.pick(&[16_384, 20_000, 1 << 20]),
            header_table_bytes: self.pick(&[0, 100, 4096, 65_536]),
            ..CoreSettings::default()
        };
        settings.limits.max_control_frames = u32::MAX;
        settings.limits.max_resets = u32::MAX;
        settings.limits.max_local_resets = u32::MAX;
        settings
    }
}
