//! Waits for what the service's records prove about a broadcast's messages in doubt.

use std::time::Duration;

use crate::core::{FailureKind, InDoubtPolicy, utc};
use crate::ledger::{BroadcastCommand, LedgerError, RecipientCounts};
use crate::reconcile::Ask;

use super::{BroadcastDriver, WaitReason};

/// How often the records are looked at.
const POLL: Duration = Duration::from_secs(1);

/// The same in simulated time, in which days are waited for.
const SIMULATED_POLL: Duration = Duration::from_mins(5);

impl BroadcastDriver<'_> {
    /// Waits a moment if the broadcast's records may still settle messages in doubt, and settles what they prove. Returns
    /// whether to look again: some recipients may be pending now.
    pub(super) async fn awaits_records(&self, counts: &RecipientCounts) -> Result<bool, LedgerError> {
        let id = self.lease.broadcast;
        if self.spec.in_doubt != InDoubtPolicy::Reconcile || counts.in_doubt == 0 {
            return Ok(false);
        }
        if self.ledger.requested_command(id).await?.command != BroadcastCommand::Run {
            return Ok(false);
        }
        let outlook = match self.delivery.reconcile(Ask::Due).await {
            Ok(outlook) => outlook.broadcasts.get(&id).copied().unwrap_or_default(),
            Err(failure) if failure.kind == FailureKind::Unreachable => {
                tracing::warn!(broadcast = %id, "cannot settle the recipients in doubt; trying again: {failure}");
                self.wait_for_records(counts.in_doubt, None).await?;
                return Ok(true);
            }
            Err(failure) => {
                tracing::error!(broadcast = %id, "cannot settle the recipients in doubt: {failure}");
                return Ok(false);
            }
        };
        let now = self.ledger.counts(id).await?;
        if now != *counts {
            self.progress.begin(now);
            return Ok(true);
        }
        let doubts = outlook.waiting + outlook.absent;
        if doubts == 0 {
            return Ok(false);
        }
        self.wait_for_records(doubts, outlook.until).await?;
        Ok(true)
    }

    async fn wait_for_records(&self, doubts: u64, until: Option<Duration>) -> Result<(), LedgerError> {
        if self.awaited.replace((doubts, until)) != (doubts, until) {
            let until = until.map_or_else(String::new, |until| format!(", until {}", utc(until)));
            let broadcast = self.lease.broadcast;
            tracing::info!(%broadcast, "waits for the service's records of {doubts} messages in doubt{until}");
        }
        self.progress.waits_for(Some(WaitReason::Records { doubts, until }));
        let poll = if self.delivery.clock.is_simulated() { SIMULATED_POLL } else { POLL };
        // The caller checks `stop`.
        let _ = self.delivery.pause(poll, None, self.stop).await;
        self.progress.waits_for(None);
        self.renew().await
    }
}
