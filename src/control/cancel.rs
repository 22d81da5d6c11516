//! Cancels a broadcast: through its driver, or at once if no process drives it.

use std::time::Duration;

use super::{ActionResult, ControlError};
use crate::delivery::{BroadcastSummary, LEASE};
use crate::ledger::{Broadcast, BroadcastCommand, InstanceName, Ledger, LedgerError};
use crate::message::counted_as;

/// The command name under which a cancelling process registers.
const COMMAND: &str = "cancel";

/// The state that [`Ledger::end_cancelled`] reports while other hosts still send the broadcast.
const UNDER_WAY: &str = "being cancelled";

/// What a cancel leads to.
enum Cancelled {
    /// The broadcast has ended. This many pending recipients get nothing.
    Now(u64),
    /// The process that drives it ends it within a second. Holds that process, if it is known.
    ByDriver(Option<InstanceName>),
}

/// Cancels a broadcast: pending recipients get nothing. If no process drives it, it has ended when this returns.
/// Recipients that a dead process left in flight are then in doubt, or cancelled if the in-doubt policy is to resend.
pub async fn cancel(ledger: &Ledger, found: &Broadcast) -> Result<ActionResult, ControlError> {
    let name = found.full_name();
    let driver = match apply(ledger, found).await? {
        Cancelled::Now(count) => {
            let gets = "pending recipient gets no message";
            let get = "pending recipients get no message";
            return Ok(ActionResult::of(format!("{name} is cancelled: {}", counted_as(count, gets, get))));
        }
        Cancelled::ByDriver(Some(driver)) => format!("`{}` (process {})", driver.name, driver.pid),
        Cancelled::ByDriver(None) => "the process that sends it".to_owned(),
    };
    Ok(ActionResult::of(format!(
        "{name} is being cancelled: {driver} stops within a second; pending recipients get no message"
    )))
}

async fn apply(ledger: &Ledger, found: &Broadcast) -> Result<Cancelled, LedgerError> {
    let id = found.id;
    let instance = ledger.register(COMMAND).await?;
    let cancelled = match ledger.show(id).await?.driver {
        Some(driver) => ledger
            .request_command(id, BroadcastCommand::Cancel, None)
            .await
            .map(|()| Cancelled::ByDriver(Some(driver.instance))),
        None => match ledger.claim(id, &instance, LEASE).await {
            Ok(Some(lease)) => {
                let ended = async {
                    ledger.request_command(id, BroadcastCommand::Cancel, None).await?;
                    ledger.take_over(lease).await?;
                    let cancelled = ledger.cancel_rest(lease).await?;
                    let broadcast = ledger.show(id).await?;
                    let report = BroadcastSummary::new(&broadcast, &broadcast.counts, 0, Duration::ZERO);
                    // The report holds numbers and two names, so serialization cannot fail.
                    ledger.end_cancelled(lease, &serde_json::to_string(&report).unwrap_or_default()).await?;
                    Ok(Cancelled::Now(cancelled))
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
                .map(|()| Cancelled::ByDriver(None)),
            Err(error) => Err(error),
        },
    };
    ledger.unregister(&instance).await?;
    match cancelled {
        // Other hosts drive it too.
        Err(LedgerError::NotNow { is: UNDER_WAY, .. } | LedgerError::LeaseLost(_)) => {
            Ok(Cancelled::ByDriver(None))
        }
        other => other,
    }
}
