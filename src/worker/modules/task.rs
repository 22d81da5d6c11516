//! `task`: concurrency within a run, and waiting.

use mlua::{Lua, Table, Value};

use crate::protocol::HostRequest;

use super::super::context::ScriptContext;
use super::super::fault::NativeError;
use super::ModuleKit;

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

/// Reads a duration: seconds as a number, or a text like `"90s"`, `"5m"`, `"1h 30m"`, `"2d"`.
pub(super) fn milliseconds(field: &str, time: &Value) -> Result<u64, NativeError> {
    let seconds = match time {
        Value::Integer(seconds) => *seconds as f64,
        Value::Number(seconds) => *seconds,
        Value::String(text) => {
            let text = text.to_str()?;
            let span = duration(&text).ok_or_else(|| {
                NativeError::invalid(
                    field,
                    format!(
                        "{field}: `{}` is no duration; write 90, \"90s\", \"5m\", \"1h 30m\" or \"2d\"",
                        &*text
                    ),
                )
            })?;
            span.as_secs_f64()
        }
        other => {
            return Err(NativeError::invalid(
                field,
                format!("{field}: expected seconds or a text like \"5m\", got {}", other.type_name()),
            ));
        }
    };
    if !(0.0..=LONGEST).contains(&seconds) {
        return Err(NativeError::invalid(
            field,
            format!("{field}: {seconds} s is not between 0 and 100 years"),
        ));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked just above")]
    Ok((seconds * 1000.0).ceil() as u64)
}

/// Parses a text as a duration. A day has 24 hours; months are refused, because their length varies.
fn duration(text: &str) -> Option<jiff::SignedDuration> {
    let span: jiff::Span = text.parse().ok()?;
    span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok()
}
