//! Answers the requests to recall messages.

use crate::delivery::RecallOptions;
use crate::message::IdKind;
use crate::protocol::{FailureKind, HostResponse, RequestFailure};
use crate::run::services::RunServices;

use super::{id_of, json};

/// Recalls messages by their receipts.
pub(super) async fn receipts(
    services: &RunServices,
    app: u32,
    receipts: &[(String, String)],
    force: bool,
    from: Option<&str>,
) -> Result<HostResponse, RequestFailure> {
    let app = services.app(app)?;
    check_sender(from)?;
    json(&app.recall(receipts, force, from, &services.stop.stop()).await?)
}

/// Recalls the messages of a broadcast.
pub(super) async fn broadcast(
    services: &RunServices,
    app: u32,
    (name, run): (&str, &str),
    force: bool,
    from: Option<String>,
) -> Result<HostResponse, RequestFailure> {
    check_sender(from.as_deref())?;
    let options = RecallOptions { force, from, ..RecallOptions::default() };
    let app = services.app(app)?;
    let found = match app.entry().await? {
        Some((open, id)) => {
            let found = open.ledger.find(id, name, run).await;
            found
                .map_err(|error| RequestFailure::new(FailureKind::Invalid, error.to_string()))?
                .map(|found| (open, found))
        }
        None => None,
    };
    let (open, found) = found.ok_or_else(|| {
        RequestFailure::invalid(
            "broadcast",
            format!("there is no broadcast `{name}` with the run `{run}` in this app"),
        )
    })?;
    let stop = services.stop.stop();
    json(&app.recall_broadcast(&open.ledger, &found, &options, &stop).await?)
}

fn check_sender(from: Option<&str>) -> Result<(), RequestFailure> {
    from.map_or(Ok(()), |from| id_of("options.from", from, IdKind::User).map(drop))
}
