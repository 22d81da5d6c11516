//! `GET /chatmessages/{hour}`, and the history files that it names.
//!
//! A file is made when it is fetched: the messages of its hour at that time, one JSON object a line, with gzip.

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use serde_json::json;

use super::chat::ChatKind;
use super::files::SimulatorFiles;
use super::payload::MessageContent;
use super::record::{MessageLog, ReceivedMessage};
use super::refusal::Refusal;
use super::settings::SimulatorSettings;
use super::time::ClockReading;

/// The path of history files.
pub(super) const FILES: &str = "/history/";
/// The most calls a minute (contract).
pub(super) const CALLS_PER_MINUTE: u32 = 10;
/// How long after its end an hour can be asked for (contract: the last 3 days).
const KEPT: Duration = Duration::from_hours(72);
const HOUR: Duration = Duration::from_hours(1);

/// When history files are there, and in which zone their hours are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistorySettings {
    pub zone: HourZone,
    /// How long after its hour a file is complete. Default 1 hour (contract: often after one, 24 at the latest).
    pub delay: Duration,
    /// Whether a file that is not yet complete is there without every second message. By default it is not there.
    pub partial: bool,
}

impl Default for HistorySettings {
    fn default() -> Self {
        Self { zone: HourZone::default(), delay: HOUR, partial: false }
    }
}

/// The zone of the hours in `GET /chatmessages/{hour}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum HourZone {
    /// As on clusters outside China
    #[default]
    #[value(name = "UTC")]
    Utc,
    /// As on domestic clusters
    #[value(name = "Asia/Shanghai")]
    Shanghai,
}

impl HourZone {
    /// Returns the start of an hour written `yyyyMMddHH`, since 1970.
    fn start(self, hour: &str) -> Option<Duration> {
        if hour.len() != 10 || !hour.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let offset = match self {
            Self::Utc => Offset::UTC,
            Self::Shanghai => Offset::constant(8),
        };
        let start = DateTime::strptime("%Y%m%d%H%M", format!("{hour}00")).ok()?;
        let start = start.to_zoned(TimeZone::fixed(offset)).ok()?.timestamp().as_duration();
        start.try_into().ok()
    }
}

/// A file that can be fetched.
#[derive(Debug, Clone, Copy)]
struct HistoryHour {
    start: Duration,
    complete: bool,
}

/// Checks that the file of this hour is there.
pub(super) fn check(settings: &SimulatorSettings, hour: &str, now: ClockReading) -> Result<(), Refusal> {
    available(settings, hour, now).map(|_| ())
}

fn available(
    SimulatorSettings { org, app, history: settings, .. }: &SimulatorSettings,
    hour: &str,
    now: ClockReading,
) -> Result<HistoryHour, Refusal> {
    let of_hour = format!("appkey: {org}#{app}, time: {hour}");
    let Some(start) = settings.zone.start(hour) else {
        return Err(Refusal::illegal_argument(format!("illegal arguments: {of_hour}")));
    };
    let end = start + HOUR;
    if start > now.unix || now.unix >= end + KEPT {
        return Err(Refusal::illegal_argument(format!(
            "illegal arguments: {of_hour}, maybe chat message history is expired or unstored"
        )));
    }
    let complete = now.unix >= end.saturating_add(settings.delay);
    if now.unix < end || !(complete || settings.partial) {
        return Err(Refusal::without_history(format!(
            "Failed to find chat message history download url for {of_hour}"
        )));
    }
    Ok(HistoryHour { start, complete })
}

/// Returns the name of an hour's file. `key` makes it hard to guess.
pub(super) fn file_name(hour: &str, key: &str) -> String {
    format!("{hour}-{key}.gz")
}

/// Returns the hour of a file with such a name.
pub(super) fn hour_of_file<'a>(name: &'a str, key: &str) -> Option<&'a str> {
    let (hour, rest) = name.split_once('-')?;
    (rest.strip_suffix(".gz")? == key).then_some(hour)
}

/// Returns the file of an hour.
pub(super) fn file(
    settings: &SimulatorSettings,
    record: &MessageLog,
    files: &SimulatorFiles,
    hour: &str,
    now: ClockReading,
) -> Result<Bytes, Refusal> {
    let HistoryHour { start, complete } = available(settings, hour, now)?;
    let end = start + HOUR;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    let in_hour = |message: &&ReceivedMessage| {
        let at = Duration::from_millis(message.at);
        (start..end).contains(&at) && !message.moderated && message.chat != ChatKind::Announcement
    };
    let messages = record.stored().filter(in_hour).enumerate();
    for (number, message) in messages {
        if complete || number.is_multiple_of(2) {
            // Writing to memory does not fail.
            let _ = writeln!(gzip, "{}", line(settings, message, files));
        }
    }
    Ok(gzip.finish().unwrap_or_default().into())
}

/// Returns a message's line. The outer `from` and `to` are the service's internal names.
fn line(settings: &SimulatorSettings, message: &ReceivedMessage, files: &SimulatorFiles) -> String {
    let SimulatorSettings { org, app, .. } = settings;
    let mut payload = MessageContent::of(message).payload(files);
    payload["from"] = message.from.clone().into();
    payload["to"] = message.group.clone().into();
    json!({
        "msg_id": message.id,
        "timestamp": message.at,
        "direction": "outgoing",
        "chat_type": message.chat.name(),
        "payload": payload,
        "from": format!("{org}#{app}_{}", message.from),
        "to": match message.chat {
            ChatKind::User | ChatKind::Announcement => format!("{org}#{app}_{}", message.group),
            ChatKind::Group | ChatKind::Room => format!("{org}#{app}_{}@conference", message.group),
        },
    })
    .to_string()
}
