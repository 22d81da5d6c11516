//! Takes a broadcast over from an earlier driver, and leaves it to another one.

use super::{BroadcastDriver, DriveEnd, DriveResult};
use crate::clock::Instant;
use crate::ledger::{BY_ITSELF, Broadcast, BroadcastStage, LedgerError, RecipientState};

impl BroadcastDriver<'_> {
    /// Ends the driving after the lease was lost: another host has ended the broadcast, or has declared this host dead.
    pub(super) async fn left_to_others(
        &self,
        broadcast: &Broadcast,
        began: Instant,
    ) -> Result<DriveResult, LedgerError> {
        let now = self.ledger.show(broadcast.id).await?;
        self.progress.begin(now.counts);
        let end = match now.stage {
            BroadcastStage::Finished => DriveEnd::Finished,
            BroadcastStage::Cancelled => DriveEnd::Cancelled,
            BroadcastStage::Building | BroadcastStage::Ready => DriveEnd::Stopped,
        };
        Ok(DriveResult { end, report: self.report(broadcast, &now.counts, began) })
    }

    /// Takes the broadcast over from an earlier driver.
    pub(super) async fn begin(&self) -> Result<Broadcast, LedgerError> {
        let id = self.lease.broadcast;
        let broadcast = self.ledger.show(id).await?;
        if broadcast.stage != BroadcastStage::Ready {
            let why = "only a broadcast whose plan is fixed and that has not ended can be sent";
            return Err(LedgerError::NotNow { broadcast: id, is: broadcast.stage.name(), why });
        }
        // Before what is in flight counts as a dead driver's.
        self.settle_kept().await?;
        self.settle_dead().await?;
        self.read_stop_counts().await?;
        self.ledger.end_pause(id, BY_ITSELF).await?;
        self.progress.begin(self.ledger.counts(id).await?);
        Ok(broadcast)
    }

    /// Settles the calls that dead drivers left in flight.
    pub(super) async fn settle_dead(&self) -> Result<(), LedgerError> {
        let taken = self.ledger.take_over(self.lease).await?;
        self.delivery.figures.messages(self.spec.call, RecipientState::InDoubt, taken.in_doubt);
        if taken.in_doubt > 0 {
            tracing::warn!(
                broadcast = %self.lease.broadcast,
                in_doubt = taken.in_doubt,
                "the process that sent these messages ended before their answers came; they may have been sent"
            );
        }
        Ok(())
    }
}
