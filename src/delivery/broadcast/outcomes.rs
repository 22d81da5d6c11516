//! Writes the outcomes of calls. The ledger keeps those that cannot be written, and they are written before anything
//! else of the broadcast is sent.

use crate::ledger::{LedgerError, RecipientOutcome, RecipientState};

use super::super::failpoint::CrashPoint;
use super::super::lazy_ledger::retry_until_written;
use super::BroadcastDriver;
use super::batches::CallBatch;

impl BroadcastDriver<'_> {
    /// Writes the outcomes of a call, one for each recipient. `pack` still has the attempts of before the call.
    pub(super) async fn settle(
        &self,
        pack: &CallBatch,
        outcomes: &[RecipientOutcome],
    ) -> Result<(), LedgerError> {
        self.delivery.fail_point.pass(CrashPoint::BeforeOutcome);
        let write = || self.ledger.settle(self.lease, outcomes.to_vec());
        if let Err(error) = retry_until_written(&self.delivery.clock, write).await {
            if error.is_fault() {
                self.keep(pack, outcomes.iter().cloned());
            } else if matches!(error, LedgerError::LeaseLost(_)) {
                self.settle_late(outcomes).await;
            }
            return Err(error);
        }
        self.count_pending_again(outcomes);
        self.settled(outcomes);
        Ok(())
    }

    /// Records what a call proves, although another process has taken over the broadcast. That process holds the recipients to be
    /// in doubt.
    async fn settle_late(&self, outcomes: &[RecipientOutcome]) {
        let id = self.lease.broadcast;
        let write = || async { self.ledger.settle_late(id, outcomes).await.map(drop) };
        if let Err(error) = retry_until_written(&self.delivery.clock, write).await {
            tracing::warn!(
                "broadcast {id}: could not record the outcomes of a call; its messages are in doubt: {error}"
            );
        }
    }

    /// Keeps the outcome of a call that was not made because the store failed at its intent: nothing was sent. The store
    /// may have the intent nevertheless.
    pub(super) fn keep_unsent(&self, pack: &CallBatch) {
        let unsent = pack.recipients.iter().map(|one| RecipientOutcome {
            seq: one.seq,
            state: RecipientState::Pending,
            message_id: None,
            error: None,
            attempts: one.attempts,
        });
        self.keep(pack, unsent);
    }

    fn keep(&self, pack: &CallBatch, outcomes: impl Iterator<Item = RecipientOutcome>) {
        let attempts = pack.recipients.iter().map(|one| one.attempts);
        self.ledger.keep_outcomes(self.lease.broadcast, attempts.zip(outcomes));
    }

    /// Writes the outcomes that could not be written before. Until then nothing more is sent.
    pub(super) async fn settle_kept(&self) -> Result<(), LedgerError> {
        let written = self.ledger.write_kept_outcomes(self.lease).await?;
        self.settled(&written);
        Ok(())
    }

    /// Tries once more to write what is kept, before the driver ends without its broadcast.
    pub(super) async fn settle_at_end(&self) {
        let Err(error) = self.settle_kept().await else { return };
        let id = self.lease.broadcast;
        let kept = self.ledger.count_kept_outcomes(id);
        tracing::error!(
            "broadcast {id}: the outcomes of {kept} messages are not in the ledger: {error}. This process keeps them, and \
             writes them before it sends more of the broadcast; if it ends first, the messages count as in doubt"
        );
    }

    /// Counts outcomes that were written.
    fn settled(&self, outcomes: &[RecipientOutcome]) {
        self.progress.settled(outcomes);
        for outcome in outcomes {
            self.delivery.figures.messages(self.spec.call, outcome.state, 1);
        }
    }
}
