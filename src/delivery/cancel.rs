//! Cancels a broadcast: through its driver, or at once if no process drives it.

use std::time::Duration;

use super::broadcast::{BroadcastSummary, LEASE};
use crate::ledger::{BroadcastCommand, BroadcastId, InstanceName, Ledger, LedgerError};

/// The command name under which a cancelling process registers.
const COMMAND: &str = "cancel";

/// The state that [`Ledger::end_cancelled`] reports while other hosts still send the broadcast.
const UNDER_WAY: &str = "being cancelled";

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CancelResult {
    /// The broadcast has ended. This many pending recipients get nothing.
    Now(u64),
    /// The process that drives it ends it within a second. Holds that process, if it is known.
    ByDriver(Option<InstanceName>),
}

impl CancelResult {
    /// Says in a sentence what happened to the broadcast called `name`.
    pub fn sentence(&self, name: &str) -> String {
        match self {
            Self::Now(1) => format!("{name} is cancelled: 1 recipient that was pending gets nothing"),
            Self::Now(count) => {
                format!("{name} is cancelled: {count} recipients that were pending get nothing")
            }
            Self::ByDriver(Some(driver)) => format!(
                "{name} is being cancelled: `{}` (process {}) ends it within a second; recipients that are pending get nothing",
                driver.name, driver.pid
            ),
            Self::ByDriver(None) => format!(
                "{name} is being cancelled: the process that drives it ends it within a second; recipients that are pending get nothing"
            ),
        }
    }
}

/// Cancels a broadcast: pending recipients get nothing. If no process drives it, it has ended when this returns.
/// Recipients that a dead process left in flight are then in doubt, or cancelled if the in-doubt policy is to resend.
///
/// # Errors
///
/// [`LedgerError::NotNow`] when it has ended, [`LedgerError::Unknown`], and faults of the store.
pub async fn cancel(ledger: &Ledger, id: BroadcastId) -> Result<CancelResult, LedgerError> {
    let owner = ledger.register(COMMAND).await?;
    let cancelled = match ledger.show(id).await?.driver {
        Some(driver) => ledger
            .request_command(id, BroadcastCommand::Cancel, None)
            .await
            .map(|()| CancelResult::ByDriver(Some(driver.owner))),
        None => match ledger.claim(id, &owner, LEASE).await {
            Ok(Some(lease)) => {
                let ended = async {
                    ledger.request_command(id, BroadcastCommand::Cancel, None).await?;
                    ledger.take_over(lease).await?;
                    let cancelled = ledger.cancel_rest(lease).await?;
                    let broadcast = ledger.show(id).await?;
                    let report = BroadcastSummary::new(&broadcast, &broadcast.counts, 0, Duration::ZERO);
                    // The report holds numbers and two names, so serialization cannot fail.
                    ledger.end_cancelled(lease, &serde_json::to_string(&report).unwrap_or_default()).await?;
                    Ok(CancelResult::Now(cancelled))
                }
                .await;
                if ended.is_err() {
                    ledger.release(lease).await?;
                }
                ended
            }
            // Another process has just claimed it.
            Ok(None) => ledger
                .request_command(id, BroadcastCommand::Cancel, None)
                .await
                .map(|()| CancelResult::ByDriver(None)),
            Err(error) => Err(error),
        },
    };
    ledger.unregister(&owner).await?;
    match cancelled {
        // Other hosts drive it too.
        Err(LedgerError::NotNow { is: UNDER_WAY, .. } | LedgerError::LeaseLost(_)) => {
            Ok(CancelResult::ByDriver(None))
        }
        other => other,
    }
}
