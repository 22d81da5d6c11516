//! Drives a broadcast from its stored plan to its end. The driver needs neither the script nor the audience.
//!
//! - `batches`: recipients from the ledger, grouped into calls;
//! - `claim`: records the intent of a call, and leaves out recipients that get nothing;
//! - `call`: one call from its permit to its outcome; `verdict`: what an answer means, a pure function;
//!   `outcomes`: writes the outcomes, also those that could not be written before;
//! - `round`: many calls at once, until none is pending or something stops them;
//! - `files`: files of messages that expire at the service before they can be sent;
//! - `ramp`: its stages, and the condition by which it pauses itself;
//! - `window`, `pace`: how many calls run at once, and the broadcast's own rate limit;
//! - `resume`: goes on with the broadcast of an earlier process; `takeover`: from one driver to the next;
//! - `waits`: what it waits for between rounds; `wait_for_others`: waits while other hosts send it; `await_records`: waits for what the service's records prove;
//! - `outlook`: when it would be sent;
//! - `progress`, `active_broadcast`, `report`: what this process shows; `status_writer`: what it writes to the ledger
//!   for other processes.

mod active_broadcast;
mod await_records;
mod batches;
mod call;
mod claim;
mod files;
mod hours;
mod outcomes;
mod outlook;
mod pace;
mod progress;
mod ramp;
mod report;
mod resume;
mod round;
mod status_writer;
mod takeover;
mod verdict;
mod wait_for_others;
mod waits;
mod window;

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::field::Empty;

use crate::clock::Instant;
use crate::core::{StopCounts, StopIf};
use crate::ledger::{
    AppId, Broadcast, BroadcastCommand, BroadcastStage, CapRule, DriverPause, Lease, Ledger, LedgerError,
    RecipientCounts, StoredSpec,
};

use super::Delivery;
pub use hours::SendingHours;
use pace::RateCap;
use ramp::RampLimits;
use round::StopReason;

pub use active_broadcast::ActiveBroadcast;
pub use outlook::SendingOutlook;
pub use progress::{BroadcastProgress, ProgressSnapshot, WaitReason};
pub use report::BroadcastSummary;

/// How long a lease is valid without a renewal. A caller that claims a lease for [`Delivery::drive`] asks for this.
pub const LEASE: Duration = Duration::from_secs(30);

/// The age at which the driver renews its lease.
const RENEW_AFTER: Duration = Duration::from_secs(10);

/// How often the driver reads the broadcast's commands from the ledger.
const LOOK: Duration = Duration::from_millis(500);

/// Failures in a row after which a broadcast pauses, unless its spec sets another number (design, Delivery).
const FAILURES_IN_A_ROW: u64 = 20;

#[derive(Debug, Clone, PartialEq)]
pub struct DriveResult {
    /// How the driving ended.
    pub end: DriveEnd,
    /// The broadcast's counts at the end.
    pub report: BroadcastSummary,
}

/// How the driving of a broadcast ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DriveEnd {
    /// Every recipient is settled.
    Finished,
    /// A command cancelled it; no recipient is pending.
    Cancelled,
    /// The driver paused it for this reason. The next driver resumes it.
    Paused(String),
    /// The process asked the driver to stop. The next driver goes on.
    Stopped,
}

/// The state of one driving of one broadcast.
struct BroadcastDriver<'a> {
    delivery: &'a Delivery,
    ledger: &'a Ledger,
    lease: Lease,
    app: AppId,
    /// The cap on messages to a group, if it has one.
    cap: Option<Arc<CapRule>>,
    /// Whether recipients wait until it is known whether messages in flight count for their cap.
    undecided: Cell<bool>,
    /// When the first of the recipients can be sent to that the last round passed over, since 1970.
    opens_at: Cell<Option<Duration>>,
    /// Its stages, if it has some.
    ramp: Option<RampLimits>,
    /// The recipients that this round may send to, in a stage.
    released: Cell<Option<u64>>,
    /// The recipients whose intents this round has written.
    claimed: Cell<u64>,
    /// The condition by which it pauses itself.
    stop_if: Option<StopIf>,
    /// The missing messages, and the counts that the condition takes no account of.
    stop_counts: Cell<(u64, StopCounts)>,
    spec: &'a StoredSpec,
    stop: &'a CancellationToken,
    progress: &'a BroadcastProgress,
    pace: RateCap,
    hours: SendingHours,
    /// Calls that wait for a permit.
    waiting: Cell<u64>,
    /// Notified whenever a waiting call gets its permit.
    room: Notify,
    /// Failures since the last success.
    failures: Cell<u64>,
    renewed: Cell<Instant>,
    /// The messages in doubt whose records the driver waits for, and the end of that wait.
    awaited: Cell<(u64, Option<Duration>)>,
    /// Whether it waits for an approval because this host's settings demand one.
    demanded: Cell<bool>,
    /// The plan of which it is logged that it waits for an approval.
    logged_approval: RefCell<Option<String>>,
    /// The earliest expiry (since 1970) of the files of pending messages; `None` if there are no files.
    files_until: Cell<Option<Duration>>,
}

impl Delivery {
    /// Sends a broadcast whose plan is fixed until no recipient is pending, it pauses itself, or `stop` is cancelled.
    /// After `stop` the driver waits for the calls in flight and leaves the rest to the next driver. While a command
    /// has the broadcast paused, the driver waits.
    ///
    /// `lease` must be freshly claimed for [`LEASE`]. The driver renews and releases it. It first settles the
    /// recipients that an earlier driver left in flight. If this future is dropped half-way, the next driver settles
    /// its calls in the same way.
    ///
    /// # Errors
    ///
    /// [`LedgerError::LeaseLost`] when another process drives it now, [`LedgerError::NotNow`] when its plan is not
    /// fixed or it has ended, and faults of the store. Nothing is sent after an error.
    #[tracing::instrument(
        target = "traces", name = "broadcast", skip_all,
        fields(id = lease.broadcast.0, app = self.name, name = Empty, run = Empty, groups = Empty)
    )]
    pub async fn drive(
        &self,
        ledger: &Ledger,
        lease: Lease,
        spec: &StoredSpec,
        stop: &CancellationToken,
        watch: &BroadcastProgress,
    ) -> Result<DriveResult, LedgerError> {
        let hours = SendingHours::new(spec.window.as_ref()).map_err(|why| {
            tracing::error!("the window of broadcast {} cannot be read: {why}", lease.broadcast);
            LedgerError::NotNow { broadcast: lease.broadcast, is: "held", why: "its window cannot be read" }
        })?;
        let broadcast = ledger.show(lease.broadcast).await?;
        let app = broadcast.app;
        let unreadable = |why: String| {
            tracing::error!("the ramp or `stop_if` of broadcast {} cannot be read: {why}", lease.broadcast);
            let why = "its ramp or `stop_if` cannot be read";
            LedgerError::NotNow { broadcast: lease.broadcast, is: "held", why }
        };
        let ramp = RampLimits::of(spec, broadcast.counts.total()).map_err(unreadable)?;
        let stop_if = ramp::stop_if(spec).map_err(unreadable)?;
        let cap = spec.cap.clone().map(|cap| {
            cap.within().map(|within| Arc::new(CapRule { app, cap, within })).map_err(|why| {
                tracing::error!("the cap of broadcast {} cannot be read: {why}", lease.broadcast);
                LedgerError::NotNow { broadcast: lease.broadcast, is: "held", why: "its cap cannot be read" }
            })
        });
        let run = BroadcastDriver {
            delivery: self,
            ledger,
            lease,
            app,
            cap: cap.transpose()?,
            undecided: Cell::new(false),
            opens_at: Cell::new(None),
            ramp,
            released: Cell::new(None),
            claimed: Cell::new(0),
            stop_if,
            stop_counts: Cell::default(),
            spec,
            stop,
            progress: watch,
            pace: RateCap::new(spec.rate),
            hours,
            waiting: Cell::new(0),
            room: Notify::new(),
            failures: Cell::new(0),
            renewed: Cell::new(self.clock.now()),
            awaited: Cell::default(),
            demanded: Cell::new(false),
            logged_approval: RefCell::default(),
            files_until: Cell::new(None),
        };
        let over = CancellationToken::new();
        let to_its_end = async {
            let driven = run.to_its_end().await;
            over.cancel();
            driven
        };
        // A set of its own keeps the driver's future small, and a wake-up of the driver does not poll the status writer.
        let mut writer: FuturesUnordered<_> = std::iter::once(run.publish_status(&over)).collect();
        let (driven, _) = futures_util::future::join(to_its_end, writer.next()).await;
        if !matches!(&driven, Ok(DriveResult { end: DriveEnd::Finished | DriveEnd::Cancelled, .. })) {
            run.settle_at_end().await;
            // A lease that cannot be released expires, or ends when its process is dead.
            if let Err(error) = ledger.release(lease).await {
                tracing::warn!("could not release the lease of broadcast {}: {error}", lease.broadcast);
            }
        }
        driven
    }
}

impl BroadcastDriver<'_> {
    async fn to_its_end(&self) -> Result<DriveResult, LedgerError> {
        let began = self.delivery.clock.now();
        let broadcast = self.begin().await?;
        let span = tracing::Span::current();
        span.record("name", &broadcast.name).record("run", &broadcast.run);
        span.record("groups", broadcast.counts.total());
        loop {
            match self.go_on(&broadcast, began).await {
                Ok(Some(driven)) => return Ok(driven),
                Ok(None) => {}
                Err(error) if error.is_away() && !self.stop.is_cancelled() => {
                    self.wait_for_store(&error).await;
                }
                Err(error) if self.ledger.is_left_to_others(&error) => {
                    return self.left_to_others(&broadcast, began).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Runs one round, or applies a command instead. Returns `None` if the driver is to go on.
    async fn go_on(&self, broadcast: &Broadcast, began: Instant) -> Result<Option<DriveResult>, LedgerError> {
        self.settle_kept().await?;
        let reason = match self.permission().await? {
            BroadcastCommand::Run => match self.renew_files(broadcast.app).await? {
                Ok(()) => {
                    if !self.ramp_turn().await? {
                        return Ok(None);
                    }
                    let ended = self.round().await;
                    self.end_ramp_turn().await?;
                    ended?
                }
                Err(_) if self.stop.is_cancelled() => StopReason::Stopped,
                Err(why) => StopReason::Paused(why),
            },
            BroadcastCommand::Pause => StopReason::Stopped,
            BroadcastCommand::Cancel => {
                self.ledger.cancel_rest(self.lease).await?;
                StopReason::AllSent
            }
        };
        if self.undecided.replace(false) && !self.stop.is_cancelled() {
            // The caller checks `stop`.
            let _ = self.delivery.pause(LOOK, None, self.stop).await;
        }
        let over = matches!(reason, StopReason::AllSent);
        if over {
            self.ledger.hand_back(self.lease).await?;
        }
        let counts = self.ledger.counts(self.lease.broadcast).await?;
        self.progress.begin(counts);
        if over
            && counts.pending > 0
            && let Some(opens_at) = self.opens_at.take()
        {
            self.wait_until(opens_at, WaitReason::Window(opens_at)).await?;
            return Ok(None);
        }
        if over && self.ledger.others_send(&counts) {
            self.wait_for_hosts().await?;
            return Ok(None);
        }
        if over && counts.pending == 0 && self.awaits_records(&counts).await? {
            return Ok(None);
        }
        let report = self.report(broadcast, &counts, began);
        let end = match reason {
            StopReason::AllSent if counts.pending > 0 => return Ok(None),
            StopReason::AllSent => match self.finish(&report).await? {
                Some(end) => end,
                None => return Ok(None),
            },
            StopReason::StateChanged => return Ok(None),
            StopReason::Stopped => DriveEnd::Stopped,
            StopReason::Paused(why) => {
                match self.ledger.pause_by_itself(self.lease.broadcast, &why).await? {
                    // Stored afterwards, so that a crash in between pauses once more and not once less.
                    DriverPause::Paused => {
                        self.store_stop_counts(&counts).await?;
                        DriveEnd::Paused(why)
                    }
                    // The driver waits for the person who paused it. If the reason is still there then, it pauses itself.
                    DriverPause::PausedBefore => {
                        let broadcast = broadcast.full_name();
                        tracing::warn!("broadcast {broadcast} was paused before it paused itself: {why}");
                        return Ok(None);
                    }
                    DriverPause::Ending => return Ok(None),
                }
            }
        };
        Ok(Some(DriveResult { end, report }))
    }

    fn report(&self, broadcast: &Broadcast, counts: &RecipientCounts, began: Instant) -> BroadcastSummary {
        let elapsed = self.delivery.clock.now().saturating_since(began);
        // Other hosts may have sent a part of it.
        let sent_now = counts.sent.saturating_sub(broadcast.counts.sent);
        BroadcastSummary::new(broadcast, counts, sent_now, elapsed)
    }

    /// Renews the lease when it is older than [`RENEW_AFTER`].
    async fn renew(&self) -> Result<(), LedgerError> {
        let now = self.delivery.clock.now();
        if now.saturating_since(self.renewed.get()) >= RENEW_AFTER {
            self.ledger.renew(self.lease, LEASE).await?;
            self.renewed.set(now);
        }
        Ok(())
    }

    /// Ends the broadcast. Returns `None` if another process has made recipients pending again meanwhile.
    async fn finish(&self, report: &BroadcastSummary) -> Result<Option<DriveEnd>, LedgerError> {
        // The report holds numbers and two names, so serialization cannot fail.
        let report = serde_json::to_string(report).unwrap_or_default();
        match self.ledger.finish(self.lease, &report).await {
            Ok(BroadcastStage::Cancelled) => Ok(Some(DriveEnd::Cancelled)),
            Ok(_) => Ok(Some(DriveEnd::Finished)),
            Err(error @ LedgerError::NotNow { .. }) => {
                let counts = self.ledger.counts(self.lease.broadcast).await?;
                if counts.pending > 0 || self.ledger.others_send(&counts) { Ok(None) } else { Err(error) }
            }
            Err(error) => Err(error),
        }
    }
}
