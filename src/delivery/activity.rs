//! Reports what this process sends to the ledger, for display to people. Reporting never delays a send.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use super::Delivery;
use crate::clock::Clock;
use crate::ledger::{AppId, Ledger, LedgerError, NewActivity};
use crate::quota::{Quota, Quotas};

/// The shortest time between two reports.
const EVERY: Duration = Duration::from_secs(2);

/// The task ends after this many reports in a row without news.
const QUIET: u32 = 2;

/// The counts already reported for each quota: (written, refused).
type ReportedCounts = Arc<Mutex<Vec<(u64, u64)>>>;

/// The reporting task of an app, and the counts that it has reported.
#[derive(Debug, Default)]
pub(super) struct ActivityReporter {
    reported: ReportedCounts,
    telling: RefCell<Option<JoinHandle<()>>>,
}

impl Drop for ActivityReporter {
    fn drop(&mut self) {
        if let Some(telling) = self.telling.get_mut() {
            telling.abort();
        }
    }
}

impl Delivery {
    /// Starts the reporting task, unless it runs already.
    pub(super) fn start_reporting(&self) {
        // In simulated time nothing reads the activity.
        let reported =
            self.activity_reporter.telling.borrow().as_ref().is_some_and(|telling| !telling.is_finished());
        if reported || self.clock.is_simulated() {
            return;
        }
        if let Some(account) = self.account() {
            self.activity_reporter.telling.replace(Some(tokio::spawn(account.report_until_quiet())));
        }
    }

    /// Writes the counts that are not reported yet.
    pub(super) async fn write_remaining(&self) {
        let telling = self.activity_reporter.telling.take();
        if let Some(telling) = telling {
            telling.abort();
            // The aborted task's last write has happened or not before the rest is written.
            let _ = telling.await;
        }
        if let Some(account) = self.account().filter(|_| !self.clock.is_simulated())
            && let Err(error) = account.write_activity().await
        {
            tracing::debug!("could not write the last sends to the ledger's activity: {error}");
        }
    }

    /// A writer for this app, if the ledger is open and knows the app. A send opens the ledger.
    fn account(&self) -> Option<ActivityWriter> {
        let recorded = self.ledger.as_ref()?;
        Some(ActivityWriter {
            ledger: recorded.ledger.get()?.ledger.clone(),
            app: *recorded.id.get()?,
            quotas: self.quotas.clone(),
            clock: self.clock.clone(),
            reported: Arc::clone(&self.activity_reporter.reported),
        })
    }
}

/// Writes the activity of an app's quotas to the ledger.
struct ActivityWriter {
    ledger: Ledger,
    app: AppId,
    quotas: Quotas,
    clock: Clock,
    reported: ReportedCounts,
}

impl ActivityWriter {
    /// Reports at intervals of [`EVERY`] until [`QUIET`] reports in a row had no news.
    async fn report_until_quiet(self) {
        let (mut quiet, mut failing) = (0, false);
        while quiet < QUIET {
            self.clock.sleep(EVERY).await;
            match self.write_activity().await {
                Ok(true) => (quiet, failing) = (0, false),
                Ok(false) => quiet += 1,
                Err(error) => {
                    if !failing {
                        tracing::debug!(
                            "could not write the sends to the ledger's activity; trying again: {error}"
                        );
                    }
                    failing = true;
                }
            }
        }
    }

    /// Writes the counts that changed. Returns whether any did.
    async fn write_activity(&self) -> Result<bool, LedgerError> {
        let mut reported = self.reported.lock().await;
        let now: Vec<_> = self.quotas.all().into_iter().map(Quota::ever).collect();
        // Nothing was written before the first report.
        reported.resize(now.len(), (0, 0));
        // The messages were sent since the last report, so on average half an interval ago.
        let at = self.clock.unix_time().saturating_sub(EVERY / 2);
        let news: Vec<NewActivity> = self
            .quotas
            .all()
            .into_iter()
            .zip(now.iter().zip(reported.iter()))
            .filter(|(_, (now, reported))| now != reported)
            .map(|(quota, (now, reported))| NewActivity {
                app: self.app,
                quota: quota.name(),
                at,
                sent: now.0 - reported.0,
                throttled: now.1 - reported.1,
            })
            .collect();
        if news.is_empty() {
            return Ok(false);
        }
        self.ledger.add_activity(&news).await?;
        *reported = now;
        Ok(true)
    }
}
