//! Drives a broadcast from its stored plan to its end. The driver needs neither the script nor the audience.
//!
//! - `batches`: recipients from the ledger, grouped into calls;
//! - `call`: one call from its permit to its outcome; `verdict`: what an answer means, a pure function;
//! - `round`: many calls at once, until none is pending or something stops them;
//! - `files`: files of messages that expire at the service before they can be sent;
//! - `window`, `pace`: how many calls run at once, and the broadcast's own rate limit;
//! - `progress`, `active_broadcast`, `report`: what this process shows; `status_writer`: what it writes to the ledger
//!   for other processes.

mod active_broadcast;
mod batches;
mod call;
mod files;
mod hours;
mod pace;
mod progress;
mod report;
mod round;
mod status_writer;
mod verdict;
mod window;

use std::cell::Cell;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::field::Empty;

use crate::clock::Instant;
use crate::ledger::{
    self, Broadcast, BroadcastCommand, BroadcastSpec, BroadcastStage, Lease, Ledger, LedgerError,
    RecipientCounts,
};

use super::Delivery;
use hours::SendingHours;
use pace::RateCap;
use round::StopReason;

pub use active_broadcast::ActiveBroadcast;
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

/// The note of an automatic pause begins with this. Driving such a broadcast again resumes it.
const BY_ITSELF: &str = "paused by itself: ";

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
    spec: &'a BroadcastSpec,
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
        spec: &BroadcastSpec,
        stop: &CancellationToken,
        watch: &BroadcastProgress,
    ) -> Result<DriveResult, LedgerError> {
        let hours = SendingHours::new(spec.window.as_ref()).map_err(|why| {
            tracing::error!("the window of broadcast {} cannot be read: {why}", lease.broadcast);
            LedgerError::NotNow { broadcast: lease.broadcast, is: "held", why: "its window cannot be read" }
        })?;
        let run = BroadcastDriver {
            delivery: self,
            ledger,
            lease,
            spec,
            stop,
            progress: watch,
            pace: RateCap::new(spec.rate),
            hours,
            waiting: Cell::new(0),
            room: Notify::new(),
            failures: Cell::new(0),
            renewed: Cell::new(self.clock.now()),
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
            // A lease that cannot be released expires, or ends when its process is dead.
            if let Err(error) = ledger.release(lease).await {
                tracing::warn!("could not release the lease of broadcast {}: {error}", lease.broadcast);
            }
        }
        driven
    }
}

impl Delivery {
    /// Releases a broadcast whose plan is fixed to the other hosts of a fleet. Waits until they have sent it, or until
    /// `stop` is pressed.
    pub async fn wait_for_others(
        &self,
        ledger: &Ledger,
        lease: Lease,
        stop: &CancellationToken,
        watch: &BroadcastProgress,
    ) -> Result<DriveResult, LedgerError> {
        let began = self.clock.now();
        ledger.release(lease).await?;
        let mut before = None;
        loop {
            let now = match ledger.show(lease.broadcast).await {
                Err(error) if error.is_away() && !stop.is_cancelled() => {
                    watch.waits_for(Some(WaitReason::Store(error.to_string())));
                    // The loop checks `stop` below.
                    let _ = self.pause(LOOK, None, stop).await;
                    continue;
                }
                other => other?,
            };
            watch.begin(now.counts);
            let paused = (now.command == BroadcastCommand::Pause)
                .then(|| WaitReason::Resume(now.command_note.clone()));
            watch.waits_for(Some(paused.unwrap_or(WaitReason::Hosts)));
            let sent_before = *before.get_or_insert(now.counts.sent);
            let end = match now.stage {
                BroadcastStage::Finished => DriveEnd::Finished,
                BroadcastStage::Cancelled => DriveEnd::Cancelled,
                BroadcastStage::Building | BroadcastStage::Ready if stop.is_cancelled() => DriveEnd::Stopped,
                BroadcastStage::Building | BroadcastStage::Ready => {
                    let _ = self.pause(LOOK, None, stop).await;
                    continue;
                }
            };
            let elapsed = self.clock.now().saturating_since(began);
            let sent_now = now.counts.sent.saturating_sub(sent_before);
            return Ok(DriveResult {
                end,
                report: BroadcastSummary::new(&now, &now.counts, sent_now, elapsed),
            });
        }
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
                Err(LedgerError::LeaseLost(_)) if self.ledger.is_shared() => {
                    return self.left_to_others(&broadcast, began).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Runs one round, or applies a command instead. Returns `None` if the driver is to go on.
    async fn go_on(&self, broadcast: &Broadcast, began: Instant) -> Result<Option<DriveResult>, LedgerError> {
        let halt = match self.permission().await? {
            BroadcastCommand::Run => match self.renew_files(broadcast.app).await? {
                Ok(()) => self.round().await?,
                Err(_) if self.stop.is_cancelled() => StopReason::Stopped,
                Err(why) => StopReason::Paused(why),
            },
            BroadcastCommand::Pause => StopReason::Stopped,
            BroadcastCommand::Cancel => {
                self.ledger.cancel_rest(self.lease).await?;
                StopReason::Over
            }
        };
        let over = matches!(halt, StopReason::Over);
        if over {
            self.ledger.hand_back(self.lease).await?;
        }
        let counts = self.ledger.counts(self.lease.broadcast).await?;
        self.progress.begin(counts);
        if over && self.ledger.is_shared() && counts.pending + counts.sending > 0 {
            self.wait_for_hosts().await?;
            return Ok(None);
        }
        let report = self.report(broadcast, &counts, began);
        let end = match halt {
            StopReason::Over if counts.pending > 0 => return Ok(None),
            StopReason::Over => match self.finish(&report).await? {
                Some(end) => end,
                None => return Ok(None),
            },
            StopReason::Wish => return Ok(None),
            StopReason::Stopped => DriveEnd::Stopped,
            StopReason::Paused(why) => {
                let note = format!("{BY_ITSELF}{why}");
                match self
                    .ledger
                    .request_command(self.lease.broadcast, BroadcastCommand::Pause, Some(&note))
                    .await
                {
                    Ok(()) => DriveEnd::Paused(why),
                    // A command cancelled the broadcast meanwhile.
                    Err(LedgerError::NotNow { .. }) => return Ok(None),
                    Err(error) => return Err(error),
                }
            }
        };
        Ok(Some(DriveResult { end, report }))
    }

    fn report(&self, broadcast: &Broadcast, counts: &RecipientCounts, began: Instant) -> BroadcastSummary {
        let elapsed = self.delivery.clock.now().saturating_since(began);
        let sent_now = if self.ledger.is_shared() {
            // Sent by all hosts.
            counts.sent.saturating_sub(broadcast.counts.sent)
        } else {
            self.progress.snapshot().sent_now
        };
        BroadcastSummary::new(broadcast, counts, sent_now, elapsed)
    }

    /// Waits for the other hosts, which send to the rest. Then settles what dead hosts left in flight.
    async fn wait_for_hosts(&self) -> Result<(), LedgerError> {
        self.progress.waits_for(Some(WaitReason::Hosts));
        // The caller checks `stop`.
        let _ = self.delivery.pause(LOOK, None, self.stop).await;
        self.progress.waits_for(None);
        self.renew().await?;
        self.settle_dead().await
    }

    /// Waits because the store does not answer. Nothing can be sent meanwhile.
    async fn wait_for_store(&self, error: &LedgerError) {
        self.progress.waits_for(Some(WaitReason::Store(error.to_string())));
        let _ = self.delivery.pause(LOOK, None, self.stop).await;
        self.progress.waits_for(None);
    }

    /// Ends the driving after the lease was lost: another host has ended the broadcast, or has declared this host dead.
    async fn left_to_others(
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
    async fn begin(&self) -> Result<Broadcast, LedgerError> {
        let id = self.lease.broadcast;
        let broadcast = self.ledger.show(id).await?;
        if broadcast.stage != BroadcastStage::Ready {
            let why = "only a broadcast whose plan is fixed and that has not ended can be sent";
            return Err(LedgerError::NotNow { broadcast: id, is: broadcast.stage.name(), why });
        }
        self.settle_dead().await?;
        let note = broadcast.command_note.as_deref().unwrap_or_default();
        if broadcast.command == BroadcastCommand::Pause && note.starts_with(BY_ITSELF) {
            self.ledger.request_command(id, BroadcastCommand::Run, None).await?;
        }
        self.progress.begin(self.ledger.counts(id).await?);
        Ok(broadcast)
    }

    /// Settles the calls that dead drivers left in flight.
    async fn settle_dead(&self) -> Result<(), LedgerError> {
        let taken = self.ledger.take_over(self.lease).await?;
        self.delivery.figures.messages(self.spec.call, ledger::DeliveryState::InDoubt, taken.in_doubt);
        if taken.in_doubt > 0 {
            tracing::warn!(
                broadcast = %self.lease.broadcast,
                in_doubt = taken.in_doubt,
                "another driver ended before these answers came; they may have been sent"
            );
        }
        Ok(())
    }

    /// Waits while the broadcast is paused. Returns a pause only when the process asks this driver to stop, or when the
    /// inputs of the broadcast have changed.
    async fn permission(&self) -> Result<BroadcastCommand, LedgerError> {
        loop {
            if self.stop.is_cancelled() {
                return Ok(BroadcastCommand::Pause);
            }
            let wishes = self.ledger.requested_command(self.lease.broadcast).await?;
            if wishes.command != BroadcastCommand::Pause {
                self.progress.waits_for(None);
                return Ok(wishes.command);
            }
            if wishes.note.as_deref().is_some_and(|note| note.starts_with(ledger::CHANGED)) {
                // A new plan may replace this one. Replacing it needs the lease.
                return Ok(BroadcastCommand::Pause);
            }
            self.progress.waits_for(Some(WaitReason::Resume(wishes.note)));
            self.renew().await?;
            // The loop checks `stop` above.
            let _ = self.delivery.pause(LOOK, None, self.stop).await;
        }
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
                let others = self.ledger.is_shared() && counts.sending > 0;
                if counts.pending > 0 || others { Ok(None) } else { Err(error) }
            }
            Err(error) => Err(error),
        }
    }
}
