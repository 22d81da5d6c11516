//! Settles what is in doubt by the service's own records, while the daemon serves.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::core::{FailureKind, RequestFailure};
use crate::delivery::Delivery;
use crate::ledger::{Broadcast, BroadcastFilter, BroadcastId};
use crate::reconcile::{Ask, Verification};

use super::{Daemon, DaemonEvent};

/// How often the records are looked at, at most. A pass without news reads a few rows.
const PASS: Duration = Duration::from_secs(1);

/// How often finished broadcasts are looked at that are to be verified.
const VERIFY: Duration = Duration::from_mins(10);

/// How long after its creation a broadcast is verified at the latest. The service keeps its history for 3 days.
const VERIFIED_WITHIN: Duration = Duration::from_hours(10 * 24);

impl Daemon {
    /// Settles the doubts of all apps for as long as this is polled. The hosts that send take turns.
    pub(super) async fn reconcile(&self) {
        if !self.setup.roles.send {
            return std::future::pending().await;
        }
        for app in &self.setup.apps {
            if let Some(doubt) = app.history_zone_doubt() {
                tracing::warn!(app = app.name(), "{doubt}");
            }
        }
        let mut failure = None;
        let mut in_doubt = vec![BTreeSet::new(); self.setup.apps.len()];
        let mut next_verify = self.setup.clock.now() + VERIFY;
        loop {
            self.setup.clock.sleep(self.setup.poll.max(PASS)).await;
            if self.setup.clock.now() >= next_verify {
                next_verify = self.setup.clock.now() + VERIFY;
                self.verify_finished().await;
            }
            for (app, in_doubt) in self.setup.apps.iter().zip(&mut in_doubt) {
                let failed = match app.reconcile(Ask::Due).await {
                    Ok(outlook) => {
                        let now: BTreeSet<BroadcastId> = outlook.broadcasts.into_keys().collect();
                        let before = std::mem::replace(in_doubt, now);
                        for settled in before.difference(in_doubt) {
                            self.report_reconciled(*settled).await;
                        }
                        None
                    }
                    Err(error) => Some(error.message),
                };
                if failed != failure {
                    if let Some(error) = &failed {
                        tracing::error!(
                            app = app.name(),
                            "cannot settle what is in doubt, trying again: {error}"
                        );
                    }
                    failure = failed;
                }
            }
        }
    }

    /// Reports a broadcast whose doubts are gone.
    async fn report_reconciled(&self, id: BroadcastId) {
        match self.setup.ledger.show(id).await {
            Ok(broadcast) if broadcast.counts.in_doubt == 0 => {
                let (name, run) = (broadcast.name, broadcast.run);
                let (sent, total) = (broadcast.counts.sent, broadcast.counts.total());
                self.setup.report(DaemonEvent::BroadcastReconciled { name, run, sent, total }).await;
            }
            Ok(_) => {}
            Err(error) => tracing::warn!("cannot read a broadcast whose doubts were settled: {error}"),
        }
    }

    /// Verifies the finished broadcasts of the apps with `verify = true`: once by the records that have come, and once by
    /// the complete history. Raises an alert for what is missing.
    async fn verify_finished(&self) {
        for app in self.setup.apps.iter().filter(|app| app.verifies()) {
            if let Err(error) = self.verify_app(app).await {
                tracing::error!(app = app.name(), "cannot verify broadcasts, trying again: {error}");
            }
        }
    }

    async fn verify_app(&self, app: &Delivery) -> Result<(), RequestFailure> {
        let Some((open, id)) = app.entry().await? else { return Ok(()) };
        let now = self.setup.clock.unix_time();
        let since = Some(now.saturating_sub(VERIFIED_WITHIN));
        let filter = BroadcastFilter { app: Some(id), finished: true, since, ..BroadcastFilter::default() };
        let found = open.ledger.list(&filter).await;
        let found =
            found.map_err(|error| RequestFailure::new(FailureKind::Unreachable, error.to_string()))?;
        let has_sent =
            |broadcast: &&Broadcast| broadcast.counts.sent > 0 && broadcast.spec.corrects.is_none();
        for broadcast in found.iter().filter(has_sent) {
            let before = broadcast.report.as_deref().and_then(Verification::of_report);
            let ask = match &before {
                Some(before) if before.is_final() => continue,
                Some(before) if before.until_ms.is_some_and(|until| now < unix_time(until)) => continue,
                Some(_) => Ask::Now,
                None => Ask::Nothing,
            };
            let verified = app.verify(broadcast.id, ask).await?;
            let (name, run) = (broadcast.name.clone(), broadcast.run.clone());
            let &Verification { missing, unknown, verified: found, .. } = &verified;
            tracing::info!(
                name,
                run,
                verified = found,
                missing,
                unknown,
                "broadcast verified by the service's records"
            );
            // A daemon that ends before the result is stored verifies again, and raises the same alert, which is one.
            if missing > 0 && before.is_none_or(|before| before.missing < missing) {
                self.setup.report(DaemonEvent::MessagesMissing { name, run, missing }).await;
            }
            app.store_verification(broadcast.id, &verified).await?;
        }
        Ok(())
    }
}

fn unix_time(ms: i64) -> Duration {
    Duration::from_millis(ms.unsigned_abs())
}
