//! `[app]`: how the service's own records of messages are used.

use crate::core::HistoryZone;

/// How the service's own records of messages are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecordSettings {
    /// The time zone by which the service names its history files. None if the settings do not say it, which is the
    /// default: then it follows from the app's address.
    pub history_zone: Option<HistoryZone>,
    /// Whether each message of a broadcast gets a mark, `ext.mooncast`, by which its record is recognised. The mark has at
    /// most 24 bytes and counts to the message's bytes. Default false.
    pub mark: bool,
    /// Whether each broadcast is verified by the service's records after it has finished. Default false.
    pub verify: bool,
}
