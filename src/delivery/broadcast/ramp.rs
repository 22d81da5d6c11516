//! The stages of a broadcast, and the condition by which it pauses itself.

use std::time::Duration;

use crate::core::{StopCounts, StopIf};
use crate::ledger::{LedgerError, RampTurn, RecipientCounts, RecipientOutcome, RecipientState, StoredSpec};

use super::{BroadcastDriver, LOOK, WaitReason};

/// The most recipients that a driver takes at once while the ramp lasts.
const MOST: u64 = 600;

/// The stages of a broadcast.
pub(super) struct RampLimits {
    /// How many recipients are sent to by the end of each stage.
    limits: Vec<u64>,
    pause: Duration,
}

impl RampLimits {
    /// The stages of a broadcast with `total` recipients, if it has some.
    pub(super) fn of(spec: &StoredSpec, total: u64) -> Result<Option<Self>, String> {
        let Some(ramp) = &spec.ramp else { return Ok(None) };
        Ok(Some(Self { limits: ramp.limits(total)?, pause: ramp.pause()? }))
    }
}

impl RampLimits {
    /// How long a broadcast with `total` recipients pauses between its stages.
    pub(super) fn pauses(&self, total: u64) -> Duration {
        let stages = self.limits.iter().filter(|limit| **limit < total).count();
        self.pause.saturating_mul(u32::try_from(stages).unwrap_or(u32::MAX))
    }
}

/// Reads the condition of a broadcast.
pub(super) fn stop_if(spec: &StoredSpec) -> Result<Option<StopIf>, String> {
    spec.stop_if.as_deref().map(str::parse).transpose()
}

impl BroadcastDriver<'_> {
    /// Takes the recipients that may be sent to in this round. Returns false after a wait, if there are none.
    pub(super) async fn ramp_turn(&self) -> Result<bool, LedgerError> {
        self.released.set(None);
        let Some(ramp) = &self.ramp else { return Ok(true) };
        if self.progress.snapshot().counts.pending == 0 {
            return Ok(true);
        }
        let turn = self.ledger.ramp_turn(self.lease, &ramp.limits, ramp.pause, MOST).await?;
        let now = self.delivery.clock.unix_time();
        match turn {
            RampTurn::SendAll => Ok(true),
            RampTurn::Send(released) => {
                self.claimed.set(0);
                self.released.set(Some(released));
                Ok(true)
            }
            RampTurn::Settle => {
                self.wait_until(now + LOOK, WaitReason::Hosts).await?;
                // What a dead host had in flight would keep the stage from ending.
                if self.ledger.has_fleet() {
                    self.settle_dead().await?;
                }
                Ok(false)
            }
            RampTurn::Wait { stage, until } => {
                self.wait_until(until, WaitReason::Ramp { stage, until }).await?;
                Ok(false)
            }
        }
    }

    /// Gives back the recipients that this round was given and did not send to.
    pub(super) async fn end_ramp_turn(&self) -> Result<(), LedgerError> {
        let Some(released) = self.released.take() else { return Ok(()) };
        self.ledger.end_ramp_turn(self.lease, released.saturating_sub(self.claimed.get())).await
    }

    /// Counts recipients whose intents this round has written.
    pub(super) fn count_claimed(&self, recipients: usize) {
        self.claimed.set(self.claimed.get() + recipients as u64);
    }

    /// Counts back those of them that are pending again.
    pub(super) fn count_pending_again(&self, outcomes: &[RecipientOutcome]) {
        let pending = outcomes.iter().filter(|outcome| outcome.state == RecipientState::Pending).count();
        self.claimed.set(self.claimed.get().saturating_sub(pending as u64));
    }

    /// Returns why the broadcast pauses itself, if its condition holds.
    pub(super) fn stops_if(&self) -> Option<String> {
        let condition = self.stop_if.as_ref()?;
        let (missing, before) = self.stop_counts.get();
        condition.holds(stop_counts(&self.progress.snapshot().counts, missing).since(before))
    }

    /// Reads what the condition counts besides the recipients' states.
    pub(super) async fn read_stop_counts(&self) -> Result<(), LedgerError> {
        if self.stop_if.is_some() {
            self.stop_counts.set(self.ledger.stop_counts(self.lease.broadcast).await?);
        }
        Ok(())
    }

    /// Stores the counts at a pause, so that a resumed broadcast counts from there.
    pub(super) async fn store_stop_counts(&self, counts: &RecipientCounts) -> Result<(), LedgerError> {
        if self.stop_if.is_none() {
            return Ok(());
        }
        let (missing, _) = self.stop_counts.get();
        self.ledger.store_stop_counts(self.lease, stop_counts(counts, missing)).await
    }
}

const fn stop_counts(counts: &RecipientCounts, missing: u64) -> StopCounts {
    StopCounts { sent: counts.sent, rejected: counts.rejected, in_doubt: counts.in_doubt, missing }
}
