//! A script's request for a broadcast.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::core::{BroadcastSpec, Call, InDoubtPolicy, MessageCap, SendWindow, WindowCalendar, WindowZone};
use crate::input::AudienceOptions;
use crate::ledger::{AppId, Exclusion, Ledger, RecipientState, ScriptRef, StoredSpec};
use crate::protocol::RequestFailure;
use crate::run::calendars;
use crate::run::services::RunServices;
use crate::zones::{DayKind, DayTime, WeekdaySet, day_time, zone};

use super::super::jobs::JobContext;
use super::fault;

/// Fields that other inputs cover, or that do not affect the plan.
const OF_NO_PLAN: [&str; 9] =
    ["name", "run", "path", "message", "on_change", "on_progress", "preflight", "tested", "test_only"];

impl BroadcastSpec {
    /// Reads the fields as they arrive over the pipe. The worker has checked them to give the user good errors; the
    /// host checks them again because it does not trust the worker.
    pub(super) fn of_worker(json: &[u8]) -> Result<Self, RequestFailure> {
        let fields: Value = serde_json::from_slice(json).map_err(|error| {
            RequestFailure::invalid("broadcast", format!("the broadcast cannot be read: {error}"))
        })?;
        let request = Self::read(&fields)?;
        if let Some(window) = &request.window {
            check_window(window)?;
            if window.is_each() && request.corrects.is_some() {
                let why = "`window.tz`: an edit has one time zone for all; write it like \"Asia/Shanghai\"";
                return Err(RequestFailure::invalid("window.tz", why));
            }
        }
        AudienceOptions::of(&request)?;
        Ok(request)
    }

    /// Returns the SHA-256 of the fields that determine how it is sent.
    pub(super) fn hash(&self) -> String {
        let fields = serde_json::to_value(self).unwrap_or_default();
        let mut hasher = Sha256::new();
        for (name, value) in fields.as_object().into_iter().flatten().collect::<BTreeMap<_, _>>() {
            // Several edits of one broadcast differ only by their message.
            let counts =
                !OF_NO_PLAN.contains(&name.as_str()) || (name == "message" && self.corrects.is_some());
            if counts && !value.is_null() {
                hasher.update(format!("{name}={value}\n"));
            }
        }
        HEXLOWER.encode(&hasher.finalize())
    }

    /// Returns the `run` of the broadcast. The default is the one of the job that requests it, otherwise 1.
    pub(super) fn run(&self, job: Option<&JobContext>) -> String {
        self.run.clone().unwrap_or_else(|| job.map_or("1", |job| &job.run).to_owned())
    }

    /// Returns the specification that the ledger stores.
    pub(super) fn spec(&self, call: Call, script: Option<ScriptRef>) -> StoredSpec {
        StoredSpec {
            in_doubt: match call {
                // An edit that is made twice has the effect of one.
                Call::Edit => InDoubtPolicy::Resend,
                _ => self.in_doubt.unwrap_or_default(),
            },
            pack: match call {
                Call::Group | Call::User | Call::Room => {
                    self.pack.and_then(|pack| u16::try_from(pack).ok()).unwrap_or(1)
                }
                Call::Targeted | Call::Edit | Call::Announce => 1,
            },
            priority: self.priority.unwrap_or_default(),
            rate: self.rate,
            window: self.window.as_ref().map(stored_window),
            overrides: self.overrides == Some(true),
            ramp: self.ramp.clone(),
            stop_if: self.stop_if.clone(),
            tag: self.tag().cloned(),
            cap: self.cap.clone().map(|cap| MessageCap { tag: self.tag().cloned(), ..cap }),
            stop_after_failures: self.stop_after_failures,
            script,
            tested: self.tested,
            preflight: self.preflight == Some(true),
            ..StoredSpec::new(call)
        }
    }

    /// Returns the broadcasts whose recipients are excluded.
    pub(super) async fn exclusion(
        &self,
        ledger: &Ledger,
        app: AppId,
    ) -> Result<Option<Exclusion>, RequestFailure> {
        let Some(excluded) = &self.exclude else { return Ok(None) };
        let name = &excluded.broadcast;
        let run = excluded.run.as_deref().unwrap_or("1");
        let found = ledger.find(app, name, run).await.map_err(fault)?.ok_or_else(|| {
            RequestFailure::invalid(
                "exclude.broadcast",
                format!("there is no broadcast `{name}` with the run `{run}` in this app"),
            )
        })?;
        let (theirs, own) = (found.spec.call.recipient(), self.kind.unwrap_or(Call::Group).recipient());
        if theirs != own {
            return Err(RequestFailure::invalid(
                "exclude.broadcast",
                format!("broadcast `{name}` (run {run}) goes to {theirs}s, and this one goes to {own}s"),
            ));
        }
        let states = excluded.states.clone().unwrap_or_else(|| vec![RecipientState::Sent]);
        Ok(Some(Exclusion { broadcasts: vec![found.id], states }))
    }
}

fn check_window(window: &SendWindow) -> Result<(), RequestFailure> {
    let example = "`window` is like { from = \"09:00\", to = \"21:00\", tz = \"Asia/Shanghai\" }";
    let time = |field: &str, text: &str| {
        day_time(text).map_err(|why| {
            RequestFailure::invalid(format!("window.{field}"), format!("`window.{field}`: {why}"))
        })
    };
    let (from, to) = (time("from", &window.from)?, time("to", &window.to)?);
    if from == DayTime::End {
        let why = "`window.from`: \"24:00\" is the end of a day; write \"00:00\" for its beginning";
        return Err(RequestFailure::invalid("window.from", why));
    }
    if from == to {
        return Err(RequestFailure::invalid(
            "window",
            format!("{example}: `from` and `to` are the same; the whole day is from \"00:00\" to \"24:00\""),
        ));
    }
    let days = window.days.as_deref().map(WeekdaySet::parse).transpose();
    days.map_err(|why| RequestFailure::invalid("window.days", format!("`window.days`: {why}")))?;
    let WindowZone::All(name) = &window.tz else { return Ok(()) };
    zone(name).map(drop).map_err(|why| RequestFailure::invalid("window.tz", format!("`window.tz`: {why}")))
}

/// The window as the ledger stores it, with the days of its calendar.
fn stored_window(window: &SendWindow) -> Value {
    let mut stored = serde_json::to_value(window).unwrap_or_default();
    if let (Some(fields), Some(calendar)) = (stored.as_object_mut(), &window.calendar) {
        fields.insert("calendar".to_owned(), serde_json::to_value(calendar).unwrap_or_default());
    }
    stored
}

/// Reads the calendar of a broadcast's window, which is an input of its plan.
pub(super) async fn read_calendar(
    services: &RunServices,
    request: &mut BroadcastSpec,
) -> Result<(), RequestFailure> {
    let Some(window) = &mut request.window else { return Ok(()) };
    let Some(except) = window.except.clone() else { return Ok(()) };
    let invalid = |what: String| RequestFailure::invalid("window.except", format!("`window.except`: {what}"));
    let (path, content) = if calendars::is_path(&except) {
        let content = services.files.read(&except).await;
        (except, content.map_err(|failure| invalid(failure.message))?)
    } else {
        let source = services.sources.calendar_file(&except).map_err(invalid)?;
        (source.name, source.text)
    };
    services.inputs.file(&path, &content);
    let calendar = calendars::read(&path, &content).map_err(invalid)?;
    let days = |kind| calendar.days(kind).map(|day| day.to_string()).collect();
    window.calendar =
        Some(WindowCalendar { holidays: days(DayKind::Holiday), workdays: days(DayKind::Workday) });
    Ok(())
}
