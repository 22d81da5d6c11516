//! What a driver waits for between its rounds: a command, other hosts, the store, or a time.

use std::time::Duration;

use crate::ledger::{self, BroadcastCommand, LedgerError, NotedCommand};

use super::{BroadcastDriver, LOOK, WaitReason};

impl BroadcastDriver<'_> {
    /// Waits for the other hosts, which send to the rest. Then settles what dead hosts left in flight.
    pub(super) async fn wait_for_hosts(&self) -> Result<(), LedgerError> {
        self.progress.waits_for(Some(WaitReason::Hosts));
        // The caller checks `stop`.
        let _ = self.delivery.pause(LOOK, None, self.stop).await;
        self.progress.waits_for(None);
        self.renew().await?;
        self.settle_dead().await
    }

    /// Waits because the store does not answer. Nothing can be sent meanwhile.
    pub(super) async fn wait_for_store(&self, error: &LedgerError) {
        self.progress.waits_for(Some(WaitReason::Store(error.to_string())));
        let _ = self.delivery.pause(LOOK, None, self.stop).await;
        self.progress.waits_for(None);
    }

    /// Reads the latest command. First makes the broadcast wait for an approval, if this host's settings demand one.
    async fn requested(&self) -> Result<NotedCommand, LedgerError> {
        self.demand_approval().await?;
        self.ledger.requested_command(self.lease.broadcast).await
    }

    /// Makes the broadcast wait for an approval, if this host's settings demand one.
    pub(super) async fn demand_approval(&self) -> Result<(), LedgerError> {
        let counts = self.progress.snapshot().counts;
        if !self.demanded.get() && self.delivery.demands_approval(self.spec, &counts) {
            self.ledger.require_approval(self.lease.broadcast).await?;
            self.demanded.set(true);
        }
        Ok(())
    }

    /// Logs, once for each plan, that the broadcast waits for an approval, and how it is given.
    async fn log_approval(&self) -> Result<(), LedgerError> {
        let broadcast = self.ledger.show(self.lease.broadcast).await?;
        if self.logged_approval.replace(broadcast.approval_hash.clone()) == broadcast.approval_hash {
            return Ok(());
        }
        tracing::warn!(
            "broadcast {} awaits approval: {}",
            broadcast.full_name(),
            broadcast.approval_wanted()
        );
        Ok(())
    }

    /// Waits while the broadcast waits for an approval or is paused. Returns a pause only when the process asks this driver to stop, or when the
    /// inputs of the broadcast have changed.
    pub(super) async fn permission(&self) -> Result<BroadcastCommand, LedgerError> {
        loop {
            if self.stop.is_cancelled() {
                return Ok(BroadcastCommand::Pause);
            }
            let requested = self.requested().await?;
            if requested.awaits_approval() && requested.command == BroadcastCommand::Run {
                self.log_approval().await?;
                self.progress.waits_for(Some(WaitReason::Approval));
                self.renew().await?;
                // The loop checks `stop` above.
                let _ = self.delivery.pause(LOOK, None, self.stop).await;
                continue;
            }
            if requested.command != BroadcastCommand::Pause {
                self.progress.waits_for(None);
                return Ok(requested.command);
            }
            if requested.note.as_deref().is_some_and(|note| note.starts_with(ledger::CHANGED)) {
                // A new plan may replace this one. Replacing it needs the lease.
                return Ok(BroadcastCommand::Pause);
            }
            self.progress.waits_for(Some(WaitReason::Resume(requested.note)));
            self.renew().await?;
            // The loop checks `stop` above.
            let _ = self.delivery.pause(LOOK, None, self.stop).await;
        }
    }

    /// Waits until a time, since 1970, or until a command comes.
    pub(super) async fn wait_until(&self, until: Duration, why: WaitReason) -> Result<(), LedgerError> {
        let clock = &self.delivery.clock;
        self.progress.waits_for(Some(why));
        let mut most = if clock.is_simulated() { Duration::from_mins(1) } else { LOOK };
        while most > Duration::ZERO && !self.stop.is_cancelled() {
            let left = until.saturating_sub(clock.unix_time());
            if left.is_zero()
                || self.ledger.poll_command(self.lease.broadcast).await? != BroadcastCommand::Run
            {
                most = Duration::ZERO;
                continue;
            }
            self.renew().await?;
            // The loop checks `stop`.
            let _ = self.delivery.pause(left.min(most), None, self.stop).await;
        }
        self.progress.waits_for(None);
        Ok(())
    }
}
