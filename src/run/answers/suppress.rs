//! Answers `im.suppress`.

use std::time::Duration;

use crate::core::SuppressedKind;
use crate::ledger::NewSuppressions;
use crate::message::id_text;
use crate::protocol::{FailureKind, HostResponse, RequestFailure};
use crate::run::services::{NO_SUPPRESS, RunServices};

/// Puts recipients on the suppression list of an app.
pub(super) async fn add(
    services: &RunServices,
    app: u32,
    kind: SuppressedKind,
    ids: &[String],
    reason: Option<&str>,
    expires: Option<Duration>,
) -> Result<HostResponse, RequestFailure> {
    let app = services.app(app)?;
    if !services.suppress {
        return Err(RequestFailure::denied(NO_SUPPRESS));
    }
    let read = |id: &String| {
        let id = id_text("ids", id, kind.call().id_kind());
        id.map(|id| (id.to_owned(), None)).map_err(|problem| RequestFailure::invalid("ids", problem.message))
    };
    let ids = ids.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let Some((open, id)) = app.entry().await? else {
        return Err(RequestFailure::new(
            FailureKind::Invalid,
            "the suppression list needs a ledger, and there is none",
        ));
    };
    let actor = services.origin.as_str();
    let new = NewSuppressions { app: id, kind, ids: &ids, reason, actor, expires };
    let added = open.ledger.suppress(new).await;
    added.map(|_| HostResponse::Nothing).map_err(|error| {
        RequestFailure::new(
            FailureKind::Unreachable,
            format!("{error}; nothing was added to the suppression list"),
        )
    })
}
