//! A broadcast that is cancelled: by its driver, or at once where no process drives it.

use std::time::Duration;

use super::broadcast::{BroadcastSummary, LEASE};
use crate::ledger::{BroadcastCommand, BroadcastId, InstanceName, Ledger, LedgerError};

/// The name by which others see who cancels.
const COMMAND: &str = "cancel";

/// How a broadcast stands that other hosts still send, by [`Ledger::end_cancelled`].
const UNDER_WAY: &str = "being cancelled";

/// What a cancel came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CancelResult {
    /// It is over; so many recipients get nothing.
    Now(u64),
    /// The process that drives it ends it within a second; which one, where that is known.
    ByDriver(Option<InstanceName>),
}

impl CancelResult {
    /// What happened to the broadcast of this name, in a sentence.
    #[must_use]
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

/// Cancels a broadcast: recipients that are pending get nothing. Where no process drives it, it is over when this returns;
/// what a dead process had in flight is in doubt then, or cancelled where in doubt means resend.
///
/// # Errors
///
/// [`LedgerError::NotNow`] when it is over, [`LedgerError::Unknown`], and faults of the store.
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
                    // A report is numbers and two names: it has a JSON form.
                    ledger.end_cancelled(lease, &serde_json::to_string(&report).unwrap_or_default()).await?;
                    Ok(CancelResult::Now(cancelled))
                }
                .await;
                if ended.is_err() {
                    ledger.release(lease).await?;
                }
                ended
            }
            // Another has just taken it.
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
