//! Settles messages in doubt by the service's own records, while the daemon serves.

use std::time::Duration;

use crate::core::{FailureKind, RequestFailure, unix_time};
use crate::delivery::Delivery;
use crate::ledger::{Broadcast, BroadcastFilter, LedgerError};
use crate::reconcile::{Ask, Verification};

use super::{Daemon, DaemonEvent};

/// How often the records are looked at, at most. A pass without news reads a few rows.
const PASS: Duration = Duration::from_secs(1);

/// How often the daemon looks for finished broadcasts that are to be verified.
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
        let mut next_verify = self.setup.clock.now() + VERIFY;
        loop {
            self.setup.clock.sleep(self.setup.poll.max(PASS)).await;
            if self.setup.clock.now() >= next_verify {
                next_verify = self.setup.clock.now() + VERIFY;
                self.verify_finished().await;
            }
            for app in &self.setup.apps {
                let failed = app.reconcile(Ask::Due).await.err().map(|error| error.message);
                if failed != failure {
                    if let Some(error) = &failed {
                        tracing::error!(
                            app = app.name(),
                            "cannot settle the messages in doubt; trying again: {error}"
                        );
                    }
                    failure = failed;
                }
            }
            self.report_reconciled().await;
        }
    }

    /// Reports the broadcasts whose last doubt the service's records settled, whichever process had them settled and when.
    /// A daemon that ends before that is recorded raises the same alert again, which is one.
    async fn report_reconciled(&self) {
        let ledger = &self.setup.ledger;
        let reported = async {
            for id in ledger.unreported_reconciled().await? {
                let broadcast = ledger.show(id).await?;
                let (sent, total) = (broadcast.counts.sent, broadcast.counts.total());
                let (name, run) = (broadcast.name, broadcast.run);
                self.setup.report(DaemonEvent::BroadcastReconciled { name, run, sent, total }).await;
                ledger.mark_reconciled_reported(id).await?;
            }
            Ok::<_, LedgerError>(())
        };
        if let Err(error) = reported.await {
            tracing::error!("cannot report which doubts were settled, trying again: {error}");
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
