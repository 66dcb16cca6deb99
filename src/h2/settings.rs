//! The settings of both sides (RFC 9113 §6.5, RFC 8441 §3, RFC 9218 §2.1).

use super::fault::ConnectionFault;
use super::frame::{MAX_MAX_FRAME_BYTES, MIN_MAX_FRAME_BYTES, SettingId, SettingValue};
use super::hpack::{DEFAULT_TABLE_BYTES, ListLimits};
use super::limits::EngineLimits;
use super::window::{DEFAULT_WINDOW_BYTES, MAX_WINDOW_BYTES};

/// This side's settings. They are sent once, and hold for the connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CoreSettings {
    /// As many streams the peer may have open at a time.
    pub(crate) max_concurrent_streams: u32,
    pub(crate) stream_window_bytes: u32,
    /// Not below the default of 65,535: no setting makes it smaller (RFC 9113 §6.9.2).
    pub(crate) connection_window_bytes: u32,
    pub(crate) max_frame_bytes: u32,
    pub(crate) header_table_bytes: u32,
    /// What the table for this side's own blocks has at most, as far as the peer allows it. It is not sent.
    pub(crate) encoder_table_bytes: u32,
    /// RFC 8441 §3; a server's.
    pub(crate) enables_connect_protocol: bool,
    pub(crate) limits: EngineLimits,
    /// While no more content than this is unread, of all streams, the connection's window is given back as
    /// content arrives: streams that nobody reads, each bounded by its own window, then hold up no other. 0:
    /// it is given back as content is released.
    pub(crate) max_unread_bytes: u64,
    /// The peer has acknowledged them: not to be set by a driver.
    pub(crate) is_acknowledged: bool,
}

impl Default for CoreSettings {
    fn default() -> CoreSettings {
        CoreSettings {
            max_concurrent_streams: 250,
            stream_window_bytes: 256 << 10,
            connection_window_bytes: 1 << 20,
            max_frame_bytes: MIN_MAX_FRAME_BYTES,
            header_table_bytes: DEFAULT_TABLE_BYTES as u32,
            encoder_table_bytes: DEFAULT_TABLE_BYTES as u32,
            enables_connect_protocol: false,
            limits: EngineLimits {
                list: ListLimits { max_bytes: (1 << 20) + 320, max_fields: 500 },
                max_control_frames: 10_000,
                max_resets: 500,
                max_local_resets: 1024,
                max_small_data_bytes: 512 << 10,
            },
            max_unread_bytes: 0,
            is_acknowledged: false,
        }
    }
}

impl CoreSettings {
    /// Those that differ from what the protocol begins with, and those that have no beginning.
    pub(super) fn to_send(self, is_client: bool) -> impl Iterator<Item = SettingValue> {
        let differs = |value: u32, default: usize| (value as usize != default).then_some(value);
        let list = u32::try_from(self.limits.list.max_bytes).unwrap_or(u32::MAX);
        [
            (SettingId::HeaderTableSize, differs(self.header_table_bytes, DEFAULT_TABLE_BYTES)),
            // RFC 9113 §8.4: nothing here takes what was not asked for.
            (SettingId::EnablePush, is_client.then_some(0)),
            (SettingId::MaxConcurrentStreams, (!is_client).then_some(self.max_concurrent_streams)),
            (SettingId::InitialWindowSize, differs(self.stream_window_bytes, DEFAULT_WINDOW_BYTES as usize)),
            (SettingId::MaxFrameSize, differs(self.max_frame_bytes, MIN_MAX_FRAME_BYTES as usize)),
            (SettingId::MaxHeaderListSize, Some(list)),
            (SettingId::EnableConnectProtocol, (!is_client && self.enables_connect_protocol).then_some(1)),
            // RFC 9218 §2.1: the priorities of RFC 7540 are not looked at.
            (SettingId::NoRfc7540Priorities, (!is_client).then_some(1)),
        ]
        .into_iter()
        .filter_map(|(id, value)| Some(SettingValue { id, value: value? }))
    }
}

/// The peer's settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PeerSettings {
    /// As many streams this side may have open at a time; no limit before the peer says one.
    pub(crate) max_concurrent_streams: Option<u32>,
    pub(crate) initial_window_bytes: u32,
    pub(crate) max_frame_bytes: u32,
    /// What the peer says it takes at most. It is advice (RFC 9113 §10.5.1).
    pub(crate) max_list_bytes: Option<u32>,
    pub(crate) enables_connect_protocol: bool,
    /// The peer has shown that it knows the priorities of RFC 9218.
    pub(crate) knows_priorities: bool,
}

impl Default for PeerSettings {
    fn default() -> PeerSettings {
        PeerSettings {
            max_concurrent_streams: None,
            initial_window_bytes: DEFAULT_WINDOW_BYTES,
            max_frame_bytes: MIN_MAX_FRAME_BYTES,
            max_list_bytes: None,
            enables_connect_protocol: false,
            knows_priorities: false,
        }
    }
}

impl PeerSettings {
    /// Takes one setting. Returns the size that the table of the encoder may have, where it says that.
    pub(super) fn take(&mut self, setting: SettingValue, is_from_server: bool) -> Result<Option<u32>, ConnectionFault> {
        let SettingValue { id, value } = setting;
        match id {
            SettingId::HeaderTableSize => return Ok(Some(value)),
            // RFC 9113 §6.5.2: a server must not say that it may be pushed to.
            SettingId::EnablePush if value > u32::from(!is_from_server) => {
                return Err(ConnectionFault::protocol("ENABLE_PUSH of a wrong value"));
            }
            SettingId::MaxConcurrentStreams => self.max_concurrent_streams = Some(value),
            SettingId::InitialWindowSize if i64::from(value) > MAX_WINDOW_BYTES => {
                return Err(ConnectionFault::flow_control("INITIAL_WINDOW_SIZE of a wrong value"));
            }
            SettingId::InitialWindowSize => self.initial_window_bytes = value,
            // RFC 9113 §6.5.2; a size of 0 made others loop for ever (CVE-2026-33814).
            SettingId::MaxFrameSize if !(MIN_MAX_FRAME_BYTES..=MAX_MAX_FRAME_BYTES).contains(&value) => {
                return Err(ConnectionFault::protocol("MAX_FRAME_SIZE of a wrong value"));
            }
            SettingId::MaxFrameSize => self.max_frame_bytes = value,
            SettingId::MaxHeaderListSize => self.max_list_bytes = Some(value),
            // RFC 8441 §3: a promise that is not taken back.
            SettingId::EnableConnectProtocol if value > 1 || (value == 0 && self.enables_connect_protocol) => {
                return Err(ConnectionFault::protocol("ENABLE_CONNECT_PROTOCOL of a wrong value"));
            }
            SettingId::EnableConnectProtocol => self.enables_connect_protocol = value == 1,
            SettingId::NoRfc7540Priorities if value > 1 => {
                return Err(ConnectionFault::protocol("NO_RFC7540_PRIORITIES of a wrong value"));
            }
            SettingId::NoRfc7540Priorities => self.knows_priorities |= value == 1,
            SettingId::EnablePush | SettingId::Unknown => {}
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fault::ErrorCode;
    use super::*;

    fn taken(id: SettingId, value: u32, is_from_server: bool) -> Result<Option<u32>, ErrorCode> {
        let setting = SettingValue { id, value };
        PeerSettings::default().take(setting, is_from_server).map_err(|fault| fault.code)
    }

    #[test]
    fn values_that_may_not_be_are_faults_of_their_errors() {
        use SettingId::{EnableConnectProtocol, EnablePush, InitialWindowSize, MaxFrameSize, NoRfc7540Priorities};
        for (id, allowed, wrong, code) in [
            (EnablePush, 1, 2, ErrorCode::PROTOCOL_ERROR),
            (InitialWindowSize, (1 << 31) - 1, 1 << 31, ErrorCode::FLOW_CONTROL_ERROR),
            (MaxFrameSize, 16_384, 16_383, ErrorCode::PROTOCOL_ERROR),
            (MaxFrameSize, (1 << 24) - 1, 1 << 24, ErrorCode::PROTOCOL_ERROR),
            (EnableConnectProtocol, 1, 2, ErrorCode::PROTOCOL_ERROR),
            (NoRfc7540Priorities, 1, 2, ErrorCode::PROTOCOL_ERROR),
        ] {
            assert_eq!(taken(id, allowed, false), Ok(None), "{id:?} {allowed}");
            assert_eq!(taken(id, wrong, false), Err(code), "{id:?} {wrong}");
        }
        assert_eq!(taken(EnablePush, 1, true), Err(ErrorCode::PROTOCOL_ERROR), "a server's");
        assert_eq!(taken(EnablePush, 0, true), Ok(None));
        assert_eq!(taken(SettingId::HeaderTableSize, u32::MAX, true), Ok(Some(u32::MAX)));
    }

    #[test]
    fn a_promise_is_not_taken_back() {
        let mut peer = PeerSettings::default();
        let connect = |value| SettingValue { id: SettingId::EnableConnectProtocol, value };
        assert!(peer.take(connect(0), true).is_ok() && peer.take(connect(1), true).is_ok());
        assert!(peer.enables_connect_protocol && peer.take(connect(0), true).is_err());
    }

    #[test]
    fn what_is_as_the_protocol_begins_is_not_said() {
        let sent = |settings: CoreSettings, is_client| {
            settings.to_send(is_client).map(|setting| (setting.id, setting.value)).collect::<Vec<_>>()
        };
        use SettingId::{EnablePush, InitialWindowSize, MaxConcurrentStreams, MaxHeaderListSize, NoRfc7540Priorities};
        let plain = CoreSettings { stream_window_bytes: 65_535, ..CoreSettings::default() };
        let list = (MaxHeaderListSize, (1 << 20) + 320);
        assert_eq!(sent(plain, true), [(EnablePush, 0), list]);
        let server = [(MaxConcurrentStreams, 250), (InitialWindowSize, 262_144), list, (NoRfc7540Priorities, 1)];
        assert_eq!(sent(CoreSettings::default(), false), server);
    }
}
