//! `task`: concurrency within a run, and waiting.

use std::time::Duration;

use mlua::{Lua, Table, Value};
use serde::Deserialize;

use crate::core::parse_duration;
use crate::protocol::HostRequest;

use super::super::context::ScriptContext;
use super::super::fault::NativeError;
use super::ModuleKit;
use super::arguments::wrong;

/// The longest wait, in seconds: a century. Longer waits are mistakes.
const LONGEST: f64 = 100.0 * 365.25 * 86_400.0;

pub(super) fn build(kit: &ModuleKit) -> mlua::Result<Table> {
    let own: Table = kit.prelude.get("task")?;
    let module = kit.lua().create_table()?;
    module.raw_set("spawn", own.get::<Value>("spawn")?)?;
    module.raw_set("all", own.get::<Value>("all")?)?;
    module.raw_set("sleep", kit.waiting(sleep)?)?;
    Ok(module)
}

fn sleep(_: &Lua, _: &ScriptContext, time: Value) -> Result<HostRequest, NativeError> {
    Ok(HostRequest::Sleep { ms: milliseconds("time", &time)? })
}

/// A duration in milliseconds. Scripts write seconds as a number, or a text like `"90s"`, `"5m"`, `"1h 30m"`, `"2d"`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "DurationInput")]
pub(super) struct Milliseconds(pub(super) u64);

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected seconds or a text like \"5m\"")]
enum DurationInput {
    Seconds(f64),
    Text(String),
}

impl TryFrom<DurationInput> for Milliseconds {
    type Error = String;

    fn try_from(input: DurationInput) -> Result<Self, String> {
        let seconds = match input {
            DurationInput::Seconds(seconds) => seconds,
            DurationInput::Text(text) => parse_duration(&text)?.as_secs_f64(),
        };
        if !(0.0..=LONGEST).contains(&seconds) {
            return Err(format!("{seconds} s is not between 0 and 100 years"));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked just above")]
        Ok(Self((seconds * 1000.0).ceil() as u64))
    }
}

impl From<Milliseconds> for Duration {
    fn from(time: Milliseconds) -> Self {
        Self::from_millis(time.0)
    }
}

/// Reads a duration that is an argument of its own.
pub(super) fn milliseconds(field: &str, time: &Value) -> Result<u64, NativeError> {
    let input = match time {
        Value::Integer(seconds) => DurationInput::Seconds(*seconds as f64),
        Value::Number(seconds) => DurationInput::Seconds(*seconds),
        Value::String(text) => DurationInput::Text(text.to_str()?.to_owned()),
        other => return Err(wrong(field, "seconds or a text like \"5m\"", other)),
    };
    Milliseconds::try_from(input)
        .map(|time| time.0)
        .map_err(|problem| NativeError::invalid(field, format!("{field}: {problem}")))
}
