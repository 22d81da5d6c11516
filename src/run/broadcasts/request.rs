//! A script's request for a broadcast.

use data_encoding::HEXLOWER;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::core::{Call, Priority};
use crate::input::AudienceOptions;
use crate::ledger::{AppId, BroadcastSpec, DeliveryState, Exclusion, InDoubtPolicy, Ledger, ScriptRef};
use crate::protocol::RequestFailure;
use crate::zones::{DayTime, day_time, zone};

use super::super::jobs::JobContext;
use super::change::OnChange;
use super::fault;

/// The fields of `im.broadcast` as they arrive over the pipe. The worker has checked them to give the user good
/// errors. The host checks them again because it does not trust the worker.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BroadcastRequest {
    pub(super) name: String,
    #[serde(default)]
    run: Option<String>,
    /// The audience file, if the recipients are in a file.
    #[serde(default)]
    pub(super) path: Option<String>,
    /// The message, if it is the same for all recipients.
    #[serde(default)]
    pub(super) message: Option<Value>,
    #[serde(default = "one")]
    pack: u8,
    #[serde(default)]
    in_doubt: InDoubtPolicy,
    #[serde(default)]
    rate: Option<f64>,
    #[serde(default)]
    window: Option<Value>,
    #[serde(default)]
    priority: Priority,
    #[serde(default)]
    exclude: Option<ExclusionRequest>,
    #[serde(default)]
    stop_after_failures: Option<u64>,
    #[serde(default)]
    pub(super) max_recipients: Option<u64>,
    #[serde(default)]
    pub(super) skip_bad: bool,
    #[serde(default)]
    id_column: Option<String>,
    #[serde(default)]
    encoding: Option<String>,
    #[serde(default)]
    separator: Option<String>,
    #[serde(default)]
    sheet: Option<String>,
    #[serde(default)]
    pub(super) on_change: OnChange,
    /// Whether test messages to a few groups are sent before it.
    #[serde(default)]
    pub(super) tested: bool,
    /// Whether it ends after the test messages.
    #[serde(default)]
    pub(super) test_only: bool,
    /// SHA-256 of the fields that determine how it is sent.
    #[serde(skip)]
    hash: String,
}

/// Fields that other inputs cover, or that do not affect the plan.
const OF_NO_PLAN: [&str; 8] =
    ["name", "run", "path", "message", "on_change", "on_progress", "tested", "test_only"];

/// The recipients of an earlier broadcast that are excluded.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExclusionRequest {
    broadcast: Option<String>,
    run: Option<String>,
    states: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WindowRequest {
    from: String,
    to: String,
    tz: String,
}

const fn one() -> u8 {
    1
}

impl BroadcastRequest {
    pub(super) fn read(json: &[u8]) -> Result<Self, RequestFailure> {
        let unreadable = |error: serde_json::Error| {
            RequestFailure::invalid("broadcast", format!("the broadcast cannot be read: {error}"))
        };
        let mut asked: Self = serde_json::from_slice(json).map_err(unreadable)?;
        let fields: std::collections::BTreeMap<String, Value> =
            serde_json::from_slice(json).map_err(unreadable)?;
        let mut hasher = Sha256::new();
        for (name, value) in fields.iter().filter(|(name, _)| !OF_NO_PLAN.contains(&name.as_str())) {
            hasher.update(format!("{name}={value}\n"));
        }
        asked.hash = HEXLOWER.encode(&hasher.finalize());
        if asked.name.is_empty() || asked.run.as_ref().is_some_and(String::is_empty) {
            return Err(RequestFailure::invalid("name", "a broadcast needs a name and a run"));
        }
        if !(1..=3).contains(&asked.pack) {
            return Err(RequestFailure::invalid(
                "pack",
                format!("`pack` must be 1 to 3, not {}", asked.pack),
            ));
        }
        if let Some(window) = &asked.window {
            check_window(window)?;
        }
        asked.options()?;
        Ok(asked)
    }

    /// Returns how the audience file is to be read.
    pub(super) fn options(&self) -> Result<AudienceOptions, RequestFailure> {
        let invalid =
            |field: &'static str, what: String| RequestFailure::invalid(field, format!("`{field}`: {what}"));
        if self.path.is_none() {
            for (field, given) in
                [("encoding", &self.encoding), ("separator", &self.separator), ("sheet", &self.sheet)]
            {
                if given.is_some() {
                    let what =
                        "it applies only to a file of recipients, and `to` is not a file; leave it out";
                    return Err(invalid(field, what.to_owned()));
                }
            }
        }
        if let Some(encoding) = &self.encoding {
            AudienceOptions::check_encoding(encoding).map_err(|what| invalid("encoding", what))?;
        }
        let separator = self.separator.as_deref().map(AudienceOptions::separator).transpose();
        Ok(AudienceOptions {
            encoding: self.encoding.clone(),
            separator: separator.map_err(|what| invalid("separator", what))?,
            sheet: self.sheet.clone(),
            id_column: self.id_column.clone(),
        })
    }

    /// Returns the SHA-256 of the fields that determine how it is sent.
    pub(super) fn hash(&self) -> String {
        self.hash.clone()
    }

    /// Returns the `run` of the broadcast. The default is the one of the job that requests it, otherwise 1.
    pub(super) fn run(&self, job: Option<&JobContext>) -> String {
        self.run.clone().unwrap_or_else(|| job.map_or("1", |job| &job.run).to_owned())
    }

    /// Returns the specification that the ledger stores.
    pub(super) fn spec(&self, call: Call, script: Option<ScriptRef>) -> BroadcastSpec {
        BroadcastSpec {
            in_doubt: self.in_doubt,
            pack: if call == Call::Targeted { 1 } else { self.pack },
            priority: self.priority,
            rate: self.rate,
            window: self.window.clone(),
            stop_after_failures: self.stop_after_failures,
            script,
            ..BroadcastSpec::new(call)
        }
    }

    /// Returns the broadcasts whose recipients are excluded.
    pub(super) async fn exclusion(
        &self,
        ledger: &Ledger,
        app: AppId,
    ) -> Result<Option<Exclusion>, RequestFailure> {
        let Some(excluded) = &self.exclude else { return Ok(None) };
        let Some(name) = &excluded.broadcast else {
            return Err(RequestFailure::invalid(
                "exclude.broadcast",
                "`exclude.broadcast` is missing: the name of an earlier one",
            ));
        };
        let run = excluded.run.as_deref().unwrap_or("1");
        let found = ledger.find(app, name, run).await.map_err(fault)?.ok_or_else(|| {
            RequestFailure::invalid(
                "exclude.broadcast",
                format!("there is no broadcast `{name}` with the run `{run}` in this app"),
            )
        })?;
        let states = match &excluded.states {
            None => vec![DeliveryState::Sent],
            Some(names) => names.iter().map(|name| state(name)).collect::<Result<_, _>>()?,
        };
        Ok(Some(Exclusion { broadcasts: vec![found.id], states }))
    }
}

fn state(name: &str) -> Result<DeliveryState, RequestFailure> {
    DeliveryState::from_name(name).ok_or_else(|| {
        let known: Vec<_> = DeliveryState::ALL.iter().map(|state| state.name()).collect();
        RequestFailure::invalid(
            "exclude.states",
            format!("there is no state `{name}`; the states are {}", known.join(", ")),
        )
    })
}

fn check_window(window: &Value) -> Result<(), RequestFailure> {
    let example = "`window` is like { from = \"09:00\", to = \"21:00\", tz = \"Asia/Shanghai\" }";
    let window: WindowRequest = serde_json::from_value(window.clone())
        .map_err(|error| RequestFailure::invalid("window", format!("{example}: {error}")))?;
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
    zone(&window.tz)
        .map(drop)
        .map_err(|why| RequestFailure::invalid("window.tz", format!("`window.tz`: {why}")))
}
