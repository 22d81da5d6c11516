//! Answers the requests to recall messages.

use crate::core::Call;
use crate::delivery::RecallOptions;
use crate::message::IdKind;
use crate::protocol::{FailureKind, HostResponse, RecallRequest, RequestFailure};
use crate::run::send_policy::{RecallAsked, RecalledMessages};
use crate::run::services::RunServices;

use super::{id_of, json};

/// The service's name for the error of a recall whose messages it does not find.
const NOT_FOUND: &str = "message_recall_error";

/// Recalls messages by their receipts.
pub(super) async fn receipts(
    services: &RunServices,
    app: u32,
    receipts: &[(String, String)],
    asked: RecallRequest,
) -> Result<HostResponse, RequestFailure> {
    let app = services.app(app)?;
    let names_kind = asked.kind.is_some();
    let options = options_of(asked)?;
    let recall = RecallAsked { of: RecalledMessages::Receipts(receipts), options: &options };
    services.policy.recall(app.key(), &recall)?;
    let recalled = app.recall(receipts, &options, &services.stop.stop()).await;
    json(&recalled.map_err(|mut failure| {
        // The service looks for the messages among those of groups only.
        if failure.code.as_deref() == Some(NOT_FOUND) && !names_kind {
            failure.message.push_str(
                "; receipts of `im.user_send` and `im.room_send` need `{ kind = \"user\" }` or `{ kind = \"room\" }` as the options of `im.recall`",
            );
        }
        failure
    })?)
}

/// Recalls the messages of a broadcast.
pub(super) async fn broadcast(
    services: &RunServices,
    app: u32,
    name: &str,
    run: &str,
    asked: RecallRequest,
) -> Result<HostResponse, RequestFailure> {
    let options = options_of(asked)?;
    let app = services.app(app)?;
    let recall = RecallAsked { of: RecalledMessages::Broadcast(name, run), options: &options };
    services.policy.recall(app.key(), &recall)?;
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

fn options_of(asked: RecallRequest) -> Result<RecallOptions, RequestFailure> {
    let RecallRequest { kind, force, from, note, with_attachments } = asked;
    let kind = kind.unwrap_or(Call::Group);
    if let Some(from) = &from {
        id_of("options.from", from, IdKind::User)?;
    }
    Ok(RecallOptions { kind, force, from, note, with_attachments, ..RecallOptions::default() })
}
