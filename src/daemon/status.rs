//! Publishes the scripts' status in the ledger, so that other processes can show it.

use std::time::Duration;

use crate::ledger::{Ledger, ScriptRow};

use super::decide::FOR_RUN;
use super::registry::{ScriptRegistry, ScriptStatus};

/// The wait before a failed write is retried.
const AGAIN: Duration = Duration::from_secs(5);

/// The minimum time between two writes. A change of a module causes many decisions in a row.
const GATHER: Duration = Duration::from_millis(250);

/// Writes the scripts' status at once and after each change, until it is dropped.
pub async fn keep_status(registry: ScriptRegistry, ledger: Ledger) {
    let mut changed = registry.changed();
    let mut kept = None;
    loop {
        changed.mark_unchanged();
        let rows: Vec<ScriptRow> = registry.scripts().into_iter().map(row).collect();
        if kept.as_ref() != Some(&rows) {
            match ledger.keep_scripts(&rows).await {
                Ok(()) => {
                    kept = Some(rows);
                    registry.loader().clock.sleep(GATHER).await;
                }
                Err(error) => {
                    tracing::warn!("cannot record the state of the scripts in the ledger, retrying: {error}");
                    registry.loader().clock.sleep(AGAIN).await;
                    continue;
                }
            }
        }
        // The registry, which holds the sender, lives as long as this task.
        if changed.changed().await.is_err() {
            return;
        }
    }
}

fn row(script: ScriptStatus) -> ScriptRow {
    // Without the time of the failure, readers do not treat the text as an error.
    let for_run = script.for_run.then(|| format!("not loaded: {FOR_RUN}"));
    let (error, stale_since) =
        script.stale.map_or((for_run, None), |stale| (Some(stale.error), Some(stale.since)));
    let ScriptStatus { name, hash, loaded_at, form, .. } = script;
    ScriptRow { name, hash, loaded_at, error, stale_since, form }
}
