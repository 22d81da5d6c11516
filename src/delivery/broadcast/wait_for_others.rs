//! Waits until the other hosts of a fleet have sent a broadcast.

use tokio_util::sync::CancellationToken;

use crate::ledger::{BroadcastCommand, BroadcastStage, Lease, Ledger, LedgerError};

use super::super::Delivery;
use super::{BroadcastProgress, BroadcastSummary, DriveEnd, DriveResult, LOOK, WaitReason};

impl Delivery {
    /// Releases a broadcast whose plan is fixed to the other hosts of a fleet. Waits until they have sent it, or until
    /// `stop` is cancelled.
    pub async fn wait_for_others(
        &self,
        ledger: &Ledger,
        lease: Lease,
        stop: &CancellationToken,
        watch: &BroadcastProgress,
    ) -> Result<DriveResult, LedgerError> {
        let began = self.clock.now();
        ledger.release(lease).await?;
        let mut before = None;
        loop {
            let now = match ledger.show(lease.broadcast).await {
                Err(error) if error.is_away() && !stop.is_cancelled() => {
                    watch.waits_for(Some(WaitReason::Store(error.to_string())));
                    // The loop checks `stop` below.
                    let _ = self.pause(LOOK, None, stop).await;
                    continue;
                }
                other => other?,
            };
            watch.begin(now.counts);
            let paused = (now.command == BroadcastCommand::Pause)
                .then(|| WaitReason::Resume(now.command_note.clone()));
            watch.waits_for(Some(paused.unwrap_or(WaitReason::Hosts)));
            let sent_before = *before.get_or_insert(now.counts.sent);
            let end = match now.stage {
                BroadcastStage::Finished => DriveEnd::Finished,
                BroadcastStage::Cancelled => DriveEnd::Cancelled,
                BroadcastStage::Building | BroadcastStage::Ready if stop.is_cancelled() => DriveEnd::Stopped,
                BroadcastStage::Building | BroadcastStage::Ready => {
                    let _ = self.pause(LOOK, None, stop).await;
                    continue;
                }
            };
            let elapsed = self.clock.now().saturating_since(began);
            let sent_now = now.counts.sent.saturating_sub(sent_before);
            return Ok(DriveResult {
                end,
                report: BroadcastSummary::new(&now, &now.counts, sent_now, elapsed),
            });
        }
    }
}
