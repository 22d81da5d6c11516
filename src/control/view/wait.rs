//! The reason why a broadcast waits.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::LazyLock;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::control::{amount, span};
use crate::core::utc;
use crate::delivery::{BroadcastWait, WaitKind};
use crate::language::Reason;

/// The reasons in English, by `wait_` and the kind.
pub const WAITS: &str = include_str!("waits.toml");

static WORDS: LazyLock<BTreeMap<String, String>> =
    LazyLock::new(|| toml::from_str(WAITS).unwrap_or_default());

/// The reason why a broadcast waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WaitView {
    /// The kind of reason.
    pub kind: WaitKind,
    /// The reason as part of a sentence: `waits for its quota`.
    pub text: String,
    /// The expected wait in seconds, if it is known.
    pub seconds: Option<f64>,
    /// The end of the wait, if it is a point in time.
    pub until: Option<String>,
    /// The number of waiting calls, if they are counted.
    pub calls: Option<u64>,
    /// The details, if there are any.
    pub note: Option<String>,
    /// The code and the parameters of the details, if Mooncast wrote them.
    #[serde(default)]
    pub reason: Option<Reason>,
}

impl WaitView {
    /// The view of a wait at the time `now`, since 1970.
    pub fn new(wait: &BroadcastWait, now: Duration) -> Self {
        let mut view = Self {
            kind: wait.kind,
            text: String::new(),
            seconds: wait.until.map(|until| until.saturating_sub(now).as_secs_f64()),
            // Only long waits are shown with a time of day.
            until: wait
                .until
                .filter(|_| matches!(wait.kind, WaitKind::Window | WaitKind::Ramp | WaitKind::Records))
                .map(utc),
            calls: wait.calls,
            note: wait.note.clone(),
            reason: wait.note.as_deref().and_then(Reason::of),
        };
        view.text = view.sentence(&str::to_owned);
        view
    }

    /// A wait with a kind and no details.
    pub fn of(kind: WaitKind) -> Self {
        Self::new(&BroadcastWait::of(kind), Duration::ZERO)
    }

    /// The wait as a sentence without its end. `time` formats a time for the reader.
    pub fn sentence(&self, time: &dyn Fn(&str) -> String) -> String {
        let kind = serde_json::to_value(self.kind).unwrap_or_default();
        let forms = WORDS.get(&format!("wait_{}", kind.as_str().unwrap_or_default()));
        let forms = forms.map(String::as_str).unwrap_or_default();
        let (one, many) = forms.split_once('|').unwrap_or((forms, forms));
        let calls = self.calls.unwrap_or_default();
        let text = if calls == 1 { one } else { many }.replace("{n}", &amount(calls));
        // The text follows other words, so it begins in lower case.
        let mut text =
            text.get(..1).map_or_else(String::new, str::to_lowercase) + text.get(1..).unwrap_or_default();
        // Writing to a `String` cannot fail.
        if let Some(until) = &self.until {
            let _ = write!(text, ", until {}", time(until));
        } else if let Some(seconds) = self.seconds.filter(|seconds| *seconds >= 1.0) {
            let _ = write!(text, ", for {}", span(seconds));
        }
        if let Some(note) = &self.note {
            let _ = write!(text, ": {note}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_a_sentence_with_its_time() {
        let now = Duration::from_hours(494_528);
        let said = |wait: BroadcastWait| WaitView::new(&wait, now).text;
        let window = BroadcastWait {
            until: Some(now + Duration::from_mins(1)),
            ..BroadcastWait::of(WaitKind::Window)
        };
        assert_eq!(said(window.clone()), "outside its sending hours, until 2026-06-01T08:01:00Z");
        assert_eq!(
            WaitView::new(&window, now).sentence(&|_| "9:00".to_owned()),
            "outside its sending hours, until 9:00"
        );
        let retry = BroadcastWait {
            until: Some(now + Duration::from_secs(3)),
            ..BroadcastWait::of(WaitKind::Unreachable)
        };
        assert_eq!(said(retry), "the service is unreachable; calls are retried, for 3 s");
        let paused = BroadcastWait { note: Some("lunch".to_owned()), ..BroadcastWait::of(WaitKind::Resume) };
        assert_eq!(said(paused), "paused until resumed: lunch");
        assert_eq!(
            said(BroadcastWait { calls: Some(1), ..BroadcastWait::of(WaitKind::Answers) }),
            "waits for 1 answer from the service"
        );
    }
}
