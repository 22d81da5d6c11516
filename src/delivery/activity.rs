//! What this process sends, told to the ledger now and then for whoever shows it: beside the road, never on it.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use super::Delivery;
use crate::clock::Clock;
use crate::ledger::{AppId, Ledger, LedgerError, NewActivity};
use crate::quota::{Quota, Quotas};

/// How often it is told at the most.
const EVERY: Duration = Duration::from_secs(2);

/// So many looks at quotas that nobody used are the last ones.
const QUIET: u32 = 2;

/// What was told of each quota: written, and refused.
type ReportedCounts = Arc<Mutex<[(u64, u64); 4]>>;

/// Who tells of an app, and what was told so far.
#[derive(Debug, Default)]
pub(super) struct ActivityReporter {
    told: ReportedCounts,
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
    /// Sees to it that somebody tells what is sent from now on.
    pub(super) fn start_reporting(&self) {
        // In a simulated time nobody looks.
        let told =
            self.activity_reporter.telling.borrow().as_ref().is_some_and(|telling| !telling.is_finished());
        if told || self.clock.is_simulated() {
            return;
        }
        if let Some(account) = self.account() {
            self.activity_reporter.telling.replace(Some(tokio::spawn(account.report_until_quiet())));
        }
    }

    /// Tells what is not told yet.
    pub(super) async fn write_remaining(&self) {
        let telling = self.activity_reporter.telling.take();
        if let Some(telling) = telling {
            telling.abort();
            // What it was writing is written or not before the rest is.
            let _ = telling.await;
        }
        if let Some(account) = self.account().filter(|_| !self.clock.is_simulated())
            && let Err(error) = account.write_activity().await
        {
            tracing::debug!("what was sent last is not in the ledger's activity: {error}");
        }
    }

    /// What is to be told, where the ledger is open and knows the app: whoever sends has opened it.
    fn account(&self) -> Option<ActivityWriter> {
        let recorded = self.ledger.as_ref()?;
        Some(ActivityWriter {
            ledger: recorded.book.get()?.ledger.clone(),
            app: *recorded.id.get()?,
            quotas: self.quotas.clone(),
            clock: self.clock.clone(),
            told: Arc::clone(&self.activity_reporter.told),
        })
    }
}

/// An app's quotas, and where what they wrote is told.
struct ActivityWriter {
    ledger: Ledger,
    app: AppId,
    quotas: Quotas,
    clock: Clock,
    told: ReportedCounts,
}

impl ActivityWriter {
    /// Tells what is new, for as long as anything is.
    async fn report_until_quiet(self) {
        let (mut quiet, mut failing) = (0, false);
        while quiet < QUIET {
            self.clock.sleep(EVERY).await;
            match self.write_activity().await {
                Ok(true) => (quiet, failing) = (0, false),
                Ok(false) => quiet += 1,
                Err(error) => {
                    if !failing {
                        tracing::debug!("what was sent is not in the ledger's activity yet: {error}");
                    }
                    failing = true;
                }
            }
        }
    }

    /// Tells what is new, and gives whether anything was.
    async fn write_activity(&self) -> Result<bool, LedgerError> {
        let mut told = self.told.lock().await;
        let now = self.quotas.all().map(Quota::ever);
        // It was sent since the last look, so about half a look ago.
        let at = self.clock.unix_time().saturating_sub(EVERY / 2);
        let news: Vec<NewActivity> = self
            .quotas
            .all()
            .into_iter()
            .zip(now.iter().zip(told.iter()))
            .filter(|(_, (now, told))| now != told)
            .map(|(quota, (now, told))| NewActivity {
                app: self.app,
                quota: quota.name(),
                at,
                sent: now.0 - told.0,
                throttled: now.1 - told.1,
            })
            .collect();
        if news.is_empty() {
            return Ok(false);
        }
        self.ledger.add_activity(&news).await?;
        *told = now;
        Ok(true)
    }
}
