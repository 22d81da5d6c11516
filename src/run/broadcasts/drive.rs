//! Drives a fixed plan to its end: the delivery's driver sends it, and the script waits for it.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::clock::Clock;
use crate::core::Call;
use crate::delivery::{ActiveBroadcast, BroadcastSummary, Delivery, DriveEnd, SendCounters};
use crate::ledger::{Broadcast, BroadcastId, Lease, Ledger};
use crate::protocol::{FailureKind, RequestFailure};

use super::super::services::RunServices;
use super::{LeaseRenewal, ended, fault};

/// How long a script waits before it is told the progress of the broadcast.
const TOLD: Duration = Duration::from_secs(1);

/// The same in simulated time, in which hours pass in seconds.
const TOLD_SIMULATED: Duration = Duration::from_mins(1);

/// A lease to build and then to drive a broadcast, with what both need.
pub(super) struct LeasedBroadcast {
    pub(super) delivery: Rc<Delivery>,
    pub(super) ledger: Ledger,
    pub(super) lease: Lease,
    pub(super) broadcast: Broadcast,
    /// Whether an earlier process fixed its plan.
    pub(super) is_resumed: bool,
    /// Renews the lease until the driver takes over the renewal.
    pub(super) heartbeat: LeaseRenewal,
    /// Lines of its file that were skipped.
    pub(super) bad_lines: u64,
    /// Rows of its file without any text.
    pub(super) blank_rows: u64,
    /// The number under which its problems are noted. `None` if a problem is an error.
    pub(super) problems: Option<u64>,
}

impl LeasedBroadcast {
    pub(super) async fn release(self) {
        drop(self.heartbeat);
        if let Err(error) = self.ledger.release(self.lease).await {
            tracing::warn!("could not release the lease of broadcast {}: {error}", self.lease.broadcast);
        }
    }

    /// Deletes a broadcast whose plan is not fixed, or a draft, and releases it. The next run builds it again.
    pub(super) async fn give_up(self, is_draft: bool) {
        let deleted = if is_draft {
            self.ledger.delete_draft(self.lease).await
        } else if self.broadcast.plan.is_none() {
            self.ledger.forget_unbuilt(self.lease).await
        } else {
            Ok(())
        };
        if let Err(error) = deleted {
            tracing::warn!(
                "could not delete the incomplete plan of `{}`; a later run deletes it: {error}",
                self.broadcast.name
            );
        }
        self.release().await;
    }
}

/// A broadcast that is being driven.
pub(super) struct BroadcastTask {
    ledger: Ledger,
    lease: Lease,
    /// The report, or the reason why there is none, once the broadcast has ended.
    end: RefCell<Option<Result<Value, RequestFailure>>>,
    /// How it ended, once it has.
    outcome: OnceCell<BroadcastOutcome>,
    ended: CancellationToken,
}

/// How the driving of a broadcast ended.
pub(super) struct BroadcastOutcome {
    pub(super) call: Call,
    pub(super) summary: BroadcastSummary,
    /// The recipients that this driving sent to.
    pub(super) sent_now: u64,
    /// Why the broadcast was cancelled, if it was.
    pub(super) cancelled: Option<String>,
}

impl BroadcastTask {
    /// Starts to send in a task of its own. The run's stop signal ends the task; a broadcast of a daemon's supervisor
    /// ends with the daemon's instead.
    pub(super) fn start(services: &RunServices, role: LeasedBroadcast) -> Rc<Self> {
        let tally = Rc::clone(&services.tally);
        let underway = services.broadcasts.watch(ActiveBroadcast::new(&role.delivery, &role.broadcast));
        match &services.job {
            None => Self::send(role, true, services.stop.stop(), tally, underway, |_| ()),
            // The task keeps its own counts, because it may outlive the run.
            Some(job) => job.supervisor.supervise(role, Rc::default(), underway),
        }
    }

    /// Sends the broadcast, or waits for other hosts to send it, and then reports how it ended.
    pub(super) fn send(
        role: LeasedBroadcast,
        sends: bool,
        stop: CancellationToken,
        tally: Rc<SendCounters>,
        underway: Rc<ActiveBroadcast>,
        then: impl FnOnce(&Result<Value, RequestFailure>) + 'static,
    ) -> Rc<Self> {
        let driving = Rc::new(Self {
            ledger: role.ledger.clone(),
            lease: role.lease,
            end: RefCell::default(),
            outcome: OnceCell::new(),
            ended: CancellationToken::new(),
        });
        let task = Rc::clone(&driving);
        let drive = async move {
            let end = to_end(role, sends, &stop, &tally, &underway, &task.outcome).await;
            then(&end);
            task.end.replace(Some(end));
            task.ended.cancel();
        };
        // Traced as a part of the run that requested it.
        tokio::task::spawn_local(drive.in_current_span());
        driving
    }

    pub(super) const fn id(&self) -> BroadcastId {
        self.lease.broadcast
    }

    /// Waits until the broadcast ends.
    pub(super) async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Returns how the broadcast ended. None if it has not.
    pub(super) fn outcome(&self) -> Option<&BroadcastOutcome> {
        self.outcome.get()
    }

    /// Waits until the broadcast ends, but at most one second (one minute of simulated time), and returns its progress.
    pub(super) async fn wait(&self, clock: &Clock) -> Result<Value, RequestFailure> {
        // A timeout is not an error here: the state is read below.
        let patience = if clock.is_simulated() { TOLD_SIMULATED } else { TOLD };
        let _ = clock.timeout(patience, self.ended()).await;
        let end = self.end.borrow().clone().transpose()?;
        let counts = self.ledger.counts(self.lease.broadcast).await.map_err(fault)?;
        Ok(json!({ "done": end.is_some(), "progress": counts, "report": end }))
    }
}

/// Drives a broadcast, and turns its end into the report for its script. `outcome` gets how it ended.
async fn to_end(
    role: LeasedBroadcast,
    sends: bool,
    stop: &CancellationToken,
    tally: &SendCounters,
    underway: &ActiveBroadcast,
    outcome: &OnceCell<BroadcastOutcome>,
) -> Result<Value, RequestFailure> {
    let LeasedBroadcast {
        delivery,
        ledger,
        lease,
        broadcast,
        is_resumed,
        heartbeat,
        bad_lines,
        blank_rows,
        ..
    } = role;
    drop(heartbeat);
    let watch = &underway.progress;
    let driven = if sends && is_resumed {
        Box::pin(delivery.resume(&ledger, lease, &broadcast.spec, stop, watch)).await
    } else if sends {
        delivery.drive(&ledger, lease, &broadcast.spec, stop, watch).await
    } else {
        delivery.wait_for_others(&ledger, lease, stop, watch).await
    };
    let driven = driven.map_err(fault)?;
    // Messages in doubt that turned out to be sent count too.
    let sent_now = if sends {
        driven.report.sent.saturating_sub(broadcast.counts.sent)
    } else {
        watch.snapshot().sent_now
    };
    tally.broadcast(broadcast.spec.call, &driven.report, sent_now);
    underway.ended(&driven);
    let cancelled = match driven.end {
        DriveEnd::Cancelled => Some(ended::why_cancelled(&ledger.show(broadcast.id).await.map_err(fault)?)),
        _ => None,
    };
    let (call, summary) = (broadcast.spec.call, driven.report.clone());
    // A broadcast is driven once, so the cell is empty.
    let _ = outcome.set(BroadcastOutcome { call, summary, sent_now, cancelled });
    let report = &driven.report;
    let stands = |how: &str| {
        let BroadcastSummary { name, run, sent, total, .. } = report;
        let message = format!(
            "broadcast `{name}` (run {run}) {how}, with {sent} of {total} sent; the same call continues \
             where it stopped"
        );
        RequestFailure::new(FailureKind::Cancelled, message)
    };
    match driven.end {
        DriveEnd::Finished | DriveEnd::Cancelled => {
            let mut report = json!(report);
            if bad_lines > 0 {
                report["bad_lines"] = Value::from(bad_lines);
            }
            if blank_rows > 0 {
                report["empty_rows"] = Value::from(blank_rows);
            }
            Ok(report)
        }
        DriveEnd::Paused(why) => Err(stands(&format!("paused ({why})"))),
        DriveEnd::Stopped => Err(stands("was interrupted")),
    }
}
