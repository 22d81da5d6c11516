//! The suppression list, as operators see and change it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::view::disarmed;
use super::{ActionResult, ControlError};
use crate::core::SuppressedKind;
use crate::core::utc;
use crate::ledger::{Ledger, NewSuppressions, Suppression};
use crate::message::{counted_as, id_text};

/// The most bytes of a reason.
const REASON_BYTES: usize = 500;

/// An entry of the suppression list: nothing is sent to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SuppressionView {
    /// The app: address, org and name.
    pub app: String,
    /// `group`, `user` or `room`.
    pub kind: SuppressedKind,
    /// The id of the group, user or room.
    pub id: String,
    /// Why it is on the list, if a reason is known.
    pub reason: Option<String>,
    /// Who added it.
    pub actor: String,
    /// When it was added.
    pub added_at: String,
    /// When it ends. Null if it has no end.
    pub expires_at: Option<String>,
}

impl From<&Suppression> for SuppressionView {
    fn from(listed: &Suppression) -> Self {
        Self {
            app: listed.app_key.clone(),
            kind: listed.kind,
            id: listed.id.clone(),
            reason: listed.reason.clone(),
            actor: listed.actor.clone(),
            added_at: utc(listed.added_at),
            expires_at: listed.expires_at.map(utc),
        }
    }
}

/// The entries as CSV for spreadsheets, with a byte order mark.
pub fn suppressions_csv(listed: &[SuppressionView]) -> String {
    let mut csv = csv::Writer::from_writer(Vec::new());
    // Writing to memory cannot fail.
    let _ = csv.write_record(["app", "kind", "id", "reason", "actor", "added_at", "expires_at"]);
    for one in listed {
        let or_empty = |text: &Option<String>| text.clone().unwrap_or_default();
        let cells = [
            one.app.clone(),
            one.kind.name().to_owned(),
            one.id.clone(),
            or_empty(&one.reason),
            one.actor.clone(),
            one.added_at.clone(),
            or_empty(&one.expires_at),
        ];
        let _ = csv.write_record(cells.iter().map(|cell| disarmed(cell).into_owned()));
    }
    let written = csv.into_inner().unwrap_or_default();
    format!("\u{feff}{}", String::from_utf8_lossy(&written))
}

/// What is added to the suppression list.
#[derive(Debug, Clone, Copy)]
pub struct SuppressionRequest<'a> {
    /// The app's key.
    pub app: &'a str,
    pub kind: SuppressedKind,
    /// The ids, each with a reason of its own, or `None` for `reason`.
    pub ids: &'a [(String, Option<String>)],
    pub reason: Option<&'a str>,
    /// How long they stay on the list. `None` for no end.
    pub expires: Option<Duration>,
    /// Who adds them.
    pub actor: &'a str,
}

/// Adds to the suppression list. All ids are checked first; with a wrong one, nothing is added.
pub async fn suppress(
    ledger: &Ledger,
    request: SuppressionRequest<'_>,
) -> Result<ActionResult, ControlError> {
    let SuppressionRequest { kind, reason, expires, actor, .. } = request;
    let reason = reason.map(str::trim).filter(|reason| !reason.is_empty());
    let reasons = request.ids.iter().filter_map(|(_, own)| own.as_deref());
    if reason.into_iter().chain(reasons).any(|reason| reason.len() > REASON_BYTES) {
        return Err(ControlError::Refused(format!("a reason has at most {REASON_BYTES} bytes")));
    }
    let ids = request.ids.iter().map(|(id, own)| Ok((checked(kind, id)?, own.clone())));
    let ids = ids.collect::<Result<Vec<_>, ControlError>>()?;
    some(&ids)?;
    let app = ledger.app(request.app).await?;
    let many = ledger.suppress(NewSuppressions { app, kind, ids: &ids, reason, actor, expires }).await?;
    let (one, more) = (format!("{kind} is"), format!("{kind}s are"));
    Ok(ActionResult::counted(many, format!("{} on the suppression list", counted_as(many, &one, &more))))
}

/// Removes from the suppression list.
///
/// # Errors
///
/// [`ControlError::NotFound`] if none of the ids is on it.
pub async fn unsuppress(
    ledger: &Ledger,
    app: &str,
    kind: SuppressedKind,
    ids: &[String],
) -> Result<ActionResult, ControlError> {
    let ids = ids.iter().map(|id| checked(kind, id)).collect::<Result<Vec<_>, _>>()?;
    some(&ids)?;
    let removed = match ledger.known_app(app).await? {
        Some(app) => ledger.unsuppress(app, kind, &ids).await?,
        None => 0,
    };
    if removed == 0 {
        let what = match ids.as_slice() {
            [one] => format!("{kind} {one} is not on the suppression list"),
            many => format!("none of these {} {kind}s is on the suppression list", many.len()),
        };
        return Err(ControlError::NotFound(what));
    }
    let (one, more) = (format!("{kind} was"), format!("{kind}s were"));
    let what = counted_as(removed, &one, &more);
    Ok(ActionResult::counted(removed, format!("{what} removed from the suppression list")))
}

fn some<T>(ids: &[T]) -> Result<(), ControlError> {
    if ids.is_empty() { Err(ControlError::Invalid("no id is given".to_owned())) } else { Ok(()) }
}

fn checked(kind: SuppressedKind, id: &str) -> Result<String, ControlError> {
    let id = id_text("id", id, kind.call().id_kind());
    id.map(str::to_owned).map_err(|problem| ControlError::Refused(problem.message))
}
