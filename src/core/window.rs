//! The window of a broadcast: the hours and days in which it is sent.

use serde::{Deserialize, Serialize};

/// The hours of the day in which a broadcast is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SendWindow {
    pub from: String,
    pub to: String,
    pub tz: WindowZone,
    /// The days of the week on which it is sent: `mon-fri`. None means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<String>,
    /// The calendar whose holidays are left out and whose workdays count as `days`: a name, or the path of a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub except: Option<String>,
    /// The calendar's days. The host reads them.
    #[serde(skip)]
    pub calendar: Option<WindowCalendar>,
}

/// The time zone of a window.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a time zone, { column = NAME } or a function of the recipient")]
pub enum WindowZone {
    /// The same for all recipients.
    All(String),
    /// In this column of each recipient.
    Column(ZoneColumn),
    /// What the script's function returns for each recipient.
    Function(ZoneFunction),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZoneColumn {
    pub column: String,
}

/// A function of the script, which stays in the worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZoneFunction {
    pub function: bool,
}

/// The days of a calendar, as dates such as `2026-10-01`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowCalendar {
    pub holidays: Vec<String>,
    pub workdays: Vec<String>,
}

impl SendWindow {
    /// Whether each recipient has a time zone of its own.
    pub const fn is_each(&self) -> bool {
        !matches!(self.tz, WindowZone::All(_))
    }
}
