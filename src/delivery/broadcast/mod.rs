//! Driving a broadcast from its stored plan to its end: neither its script nor its audience is needed any more.
//!
//! - `packs`: recipients from the ledger, packed into calls;
//! - `call`: one call from its permit to its outcome; `verdict`: what an answer means, a pure function;
//! - `round`: many calls at once, until nothing waits or something halts them;
//! - `files`: files of messages that expire at the service before they can be sent;
//! - `window`, `pace`: how many calls at once, and a cap of the broadcast's own;
//! - `progress`, `underway`, `report`: what others see; `tell`: what they learn through the ledger.

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

use tokio::sync::Notify;
use tracing::field::Empty;

use crate::clock::Instant;
use crate::ledger::{
    self, Broadcast, BroadcastCommand, BroadcastSpec, BroadcastStage, Lease, Ledger, LedgerError,
    RecipientCounts,
};

use super::{Delivery, StopSignal};
use hours::SendingHours;
use pace::RateCap;
use round::StopReason;

pub use active_broadcast::ActiveBroadcast;
pub use progress::{BroadcastProgress, ProgressSnapshot, WaitReason};
pub use report::BroadcastSummary;

/// How long a lease holds without being renewed. Whoever claims one for [`Delivery::drive`] asks for this.
pub const LEASE: Duration = Duration::from_secs(30);

/// How old a lease becomes before it is renewed.
const RENEW_AFTER: Duration = Duration::from_secs(10);

/// How often the ledger is asked what people want of the broadcast.
const LOOK: Duration = Duration::from_millis(500);

/// Failures in a row after which a broadcast pauses, where it says nothing else (design, Delivery).
const FAILURES_IN_A_ROW: u64 = 20;

/// What the note of a pause begins with that no person asked for. Driving such a broadcast again resumes it.
const BY_ITSELF: &str = "paused by itself: ";

/// What became of a broadcast under a driver.
#[derive(Debug, Clone, PartialEq)]
pub struct DriveResult {
    /// How the driving ended.
    pub end: DriveEnd,
    /// How the broadcast stands.
    pub report: BroadcastSummary,
}

/// How the driving of a broadcast ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DriveEnd {
    /// Nothing is left to send.
    Finished,
    /// Somebody cancelled it; nothing is left to send.
    Cancelled,
    /// It paused by itself, and this is why. Driven again it goes on.
    Paused(String),
    /// It was asked to stop. Driven again it goes on.
    Stopped,
}

/// One driving of one broadcast.
struct BroadcastDriver<'a> {
    delivery: &'a Delivery,
    ledger: &'a Ledger,
    lease: Lease,
    spec: &'a BroadcastSpec,
    stop: &'a StopSignal,
    progress: &'a BroadcastProgress,
    pace: RateCap,
    hours: SendingHours,
    /// Calls that wait for a permit.
    waiting: Cell<u64>,
    /// Told whenever one of them has got it.
    room: Notify,
    /// Failures since the last success.
    failures: Cell<u64>,
    renewed: Cell<Instant>,
    /// Until when all files of what waits can be used (since 1970); none where there is none.
    files_until: Cell<Option<Duration>>,
}

impl Delivery {
    /// Sends what waits of a broadcast whose plan is fixed, until nothing does, it pauses itself, or `stop` is
    /// pressed: then what is in flight is finished and the rest stays for the next driver. While a person has it
    /// paused, this waits.
    ///
    /// `lease` is a fresh claim of [`LEASE`]; it is renewed here, and given back. What an earlier driver had in flight
    /// is settled first. Dropped half-way, what was in flight is settled so by the next driver.
    ///
    /// # Errors
    ///
    /// [`LedgerError::LeaseLost`] when another drives it now, [`LedgerError::NotNow`] when its plan is not fixed or it
    /// is over, and faults of the store: nothing was sent from then on.
    #[tracing::instrument(
        target = "traces", name = "broadcast", skip_all,
        fields(id = lease.broadcast.0, app = self.name, name = Empty, run = Empty, groups = Empty)
    )]
    pub async fn drive(
        &self,
        ledger: &Ledger,
        lease: Lease,
        spec: &BroadcastSpec,
        stop: &StopSignal,
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
        let over = Notify::new();
        let to_its_end = async {
            let driven = run.to_its_end().await;
            over.notify_one();
            driven
        };
        // Apart, so that the driver's future is not larger for it.
        let (driven, ()) = futures_util::future::join(to_its_end, Box::pin(run.publish_status(&over))).await;
        if !matches!(&driven, Ok(DriveResult { end: DriveEnd::Finished | DriveEnd::Cancelled, .. })) {
            // One that cannot be given back runs out, or dies with its owner.
            if let Err(error) = ledger.release(lease).await {
                tracing::warn!("the lease of broadcast {} was not given back: {error}", lease.broadcast);
            }
        }
        driven
    }
}

impl Delivery {
    /// Leaves a broadcast whose plan is fixed to other hosts of a fleet, and waits until they have sent it, or `stop` is
    /// pressed.
    ///
    /// # Errors
    ///
    /// Faults of the store.
    pub async fn wait_for_others(
        &self,
        ledger: &Ledger,
        lease: Lease,
        stop: &StopSignal,
        watch: &BroadcastProgress,
    ) -> Result<DriveResult, LedgerError> {
        let began = self.clock.now();
        ledger.release(lease).await?;
        let mut before = None;
        loop {
            let now = match ledger.show(lease.broadcast).await {
                Err(error) if error.is_away() && !stop.is_asked() => {
                    watch.waits_for(Some(WaitReason::Store(error.to_string())));
                    // Asked to stop, it is seen below.
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
                BroadcastStage::Building | BroadcastStage::Ready if stop.is_asked() => DriveEnd::Stopped,
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
                Err(error) if error.is_away() && !self.stop.is_asked() => self.wait_for_store(&error).await,
                Err(LedgerError::LeaseLost(_)) if self.ledger.is_shared() => {
                    return self.left_to_others(&broadcast, began).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// One round, or what somebody wants instead. Gives nothing while it is to go on.
    async fn go_on(&self, broadcast: &Broadcast, began: Instant) -> Result<Option<DriveResult>, LedgerError> {
        let halt = match self.permission().await? {
            BroadcastCommand::Run => match self.renew_files(broadcast.app).await? {
                Ok(()) => self.round().await?,
                Err(_) if self.stop.is_asked() => StopReason::Stopped,
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
                    // Somebody has cancelled it meanwhile.
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
            // By all hosts.
            counts.sent.saturating_sub(broadcast.counts.sent)
        } else {
            self.progress.snapshot().sent_now
        };
        BroadcastSummary::new(broadcast, counts, sent_now, elapsed)
    }

    /// Nothing is left for this host for now: others send to the rest, and may die over it.
    async fn wait_for_hosts(&self) -> Result<(), LedgerError> {
        self.progress.waits_for(Some(WaitReason::Hosts));
        // Asked to stop, it is seen by whoever goes on.
        let _ = self.delivery.pause(LOOK, None, self.stop).await;
        self.progress.waits_for(None);
        self.renew().await?;
        self.settle_dead().await
    }

    /// The store does not answer, so nothing can be sent.
    async fn wait_for_store(&self, error: &LedgerError) {
        self.progress.waits_for(Some(WaitReason::Store(error.to_string())));
        let _ = self.delivery.pause(LOOK, None, self.stop).await;
        self.progress.waits_for(None);
    }

    /// The lease is gone: another host has ended the broadcast, or has taken this one for dead.
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

    /// Takes the broadcast over from whoever drove it before.
    async fn begin(&self) -> Result<Broadcast, LedgerError> {
        let id = self.lease.broadcast;
        let broadcast = self.ledger.show(id).await?;
        if broadcast.stage != BroadcastStage::Ready {
            let why = "only one whose plan is fixed, and that is not over, can be sent";
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

    /// Settles what dead drivers had in flight.
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

    /// Waits while the broadcast is paused. Gives a pause only when this driver is asked to stop, or when the inputs of the
    /// broadcast changed.
    async fn permission(&self) -> Result<BroadcastCommand, LedgerError> {
        loop {
            if self.stop.is_asked() {
                return Ok(BroadcastCommand::Pause);
            }
            let wishes = self.ledger.requested_command(self.lease.broadcast).await?;
            if wishes.command != BroadcastCommand::Pause {
                self.progress.waits_for(None);
                return Ok(wishes.command);
            }
            if wishes.note.as_deref().is_some_and(|note| note.starts_with(ledger::CHANGED)) {
                // A new plan may take the place of this one: that needs the lease.
                return Ok(BroadcastCommand::Pause);
            }
            self.progress.waits_for(Some(WaitReason::Resume(wishes.note)));
            self.renew().await?;
            // Asked to stop, it is seen above.
            let _ = self.delivery.pause(LOOK, None, self.stop).await;
        }
    }

    /// Keeps the lease from running out.
    async fn renew(&self) -> Result<(), LedgerError> {
        let now = self.delivery.clock.now();
        if now.saturating_since(self.renewed.get()) >= RENEW_AFTER {
            self.ledger.renew(self.lease, LEASE).await?;
            self.renewed.set(now);
        }
        Ok(())
    }

    /// Ends it, unless somebody has made something pending again meanwhile.
    async fn finish(&self, report: &BroadcastSummary) -> Result<Option<DriveEnd>, LedgerError> {
        // A report is numbers and two names: it has a JSON form.
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
