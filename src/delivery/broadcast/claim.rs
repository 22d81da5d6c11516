//! Records that a call is about to be made, if all its recipients may get the message now.

use crate::ledger::{LedgerError, Unreserved};

use super::BroadcastDriver;
use super::batches::CallBatch;

impl BroadcastDriver<'_> {
    /// Writes the intent of a call. Returns false if some of its recipients are at their cap, or were put on
    /// the suppression list since they were read. Those are skipped, the others stay pending, and no request
    /// may be made.
    pub(super) async fn claim(&self, pack: &CallBatch) -> Result<bool, LedgerError> {
        // A scratch ledger writes the intent later, so it cannot refuse it.
        if self.ledger.suppression_writes() != pack.compared_at && self.leave_out(pack).await? {
            return Ok(false);
        }
        let seqs = pack.recipients.iter().map(|recipient| recipient.seq).collect();
        let claimed = match &self.cap {
            Some(rule) => self.ledger.reserve(self.lease, rule, seqs).await,
            None => self.ledger.intend(self.lease, seqs).await.map(|()| Unreserved::default()),
        };
        match claimed {
            Ok(Unreserved { skipped, undecided }) => {
                self.progress.skipped(skipped.len() as u64);
                self.undecided.set(self.undecided.get() || !undecided.is_empty());
                let claimed = skipped.is_empty() && undecided.is_empty();
                if claimed {
                    self.count_claimed(pack.recipients.len());
                }
                Ok(claimed)
            }
            Err(error @ LedgerError::NotIn { .. }) => {
                if self.leave_out(pack).await? {
                    return Ok(false);
                }
                let requested = self.ledger.requested_command(self.lease.broadcast).await?;
                if requested.awaits_approval() {
                    // Another host made it wait a moment ago. The driver sees that when it next reads the
                    // broadcast's command.
                    self.undecided.set(true);
                    return Ok(false);
                }
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Skips the recipients of a call that are on the suppression list now; returns whether there were some.
    async fn leave_out(&self, pack: &CallBatch) -> Result<bool, LedgerError> {
        let skipped = self.ledger.skip_suppressed(self.lease, self.app, self.spec, &pack.recipients).await?;
        self.progress.skipped(skipped.len() as u64);
        Ok(!skipped.is_empty())
    }
}
