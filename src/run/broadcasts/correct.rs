//! Begins a broadcast that edits the sent messages of another.

use crate::core::{BroadcastSpec, OnChange};
use crate::delivery::{edit_name, edit_run};
use crate::ledger::{AppId, Broadcast, BroadcastStage, CorrectedRun, Ledger};
use crate::protocol::RequestFailure;
use crate::run::services::RunServices;

use super::{fault, inputs};

/// Finds the broadcast that is edited, and gives the edit its name and run: `NAME.edit` with the run of the broadcast,
/// and `RUN.2`, `RUN.3` for later edits. The same edit again keeps its run, so that it resumes or does nothing.
///
/// # Errors
///
/// There is no such broadcast, or another edit of it has not finished.
pub(super) async fn resolve(
    services: &RunServices,
    ledger: &Ledger,
    app: AppId,
    request: &mut BroadcastSpec,
) -> Result<Option<CorrectedRun>, RequestFailure> {
    let Some(corrected) = &request.corrects else { return Ok(None) };
    let (name, run) = (corrected.broadcast.clone(), corrected.run.clone().unwrap_or_else(|| "1".to_owned()));
    let found = ledger.find(app, &name, &run).await.map_err(fault)?.ok_or_else(|| {
        let why = format!("there is no broadcast `{name}` with the run `{run}` in this app");
        RequestFailure::invalid("broadcast", why)
    })?;
    request.name = edit_name(&name);
    let latest = ledger.latest_edit(found.id).await.map_err(fault)?;
    request.run = Some(match latest {
        None => edit_run(&run, None),
        Some(latest) => next_run(services, request, &run, &latest).await?,
    });
    Ok(Some(CorrectedRun { id: found.id.0, name, run, call: found.spec.call }))
}

/// Returns the run of an edit after the latest one.
async fn next_run(
    services: &RunServices,
    request: &BroadcastSpec,
    run: &str,
    latest: &Broadcast,
) -> Result<String, RequestFailure> {
    if latest.stage == BroadcastStage::Building {
        return Ok(latest.run.clone());
    }
    let is_same = request.on_change == OnChange::Continue
        || inputs::changed(services, request, &latest.spec.inputs).await.is_empty();
    match latest.stage {
        BroadcastStage::Ready if !is_same => Err(RequestFailure::invalid(
            "broadcast",
            format!(
                "another edit of these messages has not finished: {}. Let it finish, or cancel it (`mooncast runs cancel`), and edit again",
                latest.full_name()
            ),
        )),
        BroadcastStage::Ready => Ok(latest.run.clone()),
        BroadcastStage::Finished if is_same => Ok(latest.run.clone()),
        _ => Ok(edit_run(run, Some(&latest.run))),
    }
}

/// Refuses an edit whose name another broadcast has.
pub(super) fn check_name(found: &Broadcast, corrects: Option<&CorrectedRun>) -> Result<(), RequestFailure> {
    if found.spec.corrects.as_ref() == corrects {
        return Ok(());
    }
    let why = format!("the name {} belongs to a broadcast of another kind", found.full_name());
    Err(RequestFailure::invalid("name", why))
}
