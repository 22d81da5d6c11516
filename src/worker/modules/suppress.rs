//! `im.suppress`: puts groups, users or rooms on the suppression list.

use std::time::Duration;

use mlua::Value;
use serde::Deserialize;

use crate::core::SuppressedKind;
use crate::protocol::{HostRequest, MAX_SUPPRESSED};

use super::super::fault::NativeError;
use super::arguments::id_list;
use super::options::fields;
use super::task::Milliseconds;

/// The options of `im.suppress`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SuppressFields {
    kind: Option<String>,
    reason: Option<String>,
    expires: Option<Milliseconds>,
}

pub(super) fn request(app: u32, (ids, given): (Value, Value)) -> Result<HostRequest, NativeError> {
    let SuppressFields { kind, reason, expires } = fields("im.suppress", "options", &given)?;
    let kind: SuppressedKind = kind
        .map_or(Ok(SuppressedKind::Group), |kind| kind.parse())
        .map_err(|why| NativeError::invalid("options.kind", format!("`kind` {why}")))?;
    let ids = id_list("ids", ids)?;
    if ids.is_empty() || ids.len() > MAX_SUPPRESSED {
        let why = format!("ids: expected 1 to {MAX_SUPPRESSED} ids, got {}", ids.len());
        return Err(NativeError::invalid("ids", why));
    }
    Ok(HostRequest::Suppress { app, kind, ids, reason, expires: expires.map(Duration::from) })
}
