//! A broadcast that this process drives, for display.

use std::cell::OnceCell;
use std::rc::Rc;
use std::time::Duration;

use crate::core::Call;
use crate::ledger::{Broadcast, RecipientCounts};
use crate::quota::Quota;

use super::super::{BroadcastWait, Delivery};
use super::hours::SendingHours;
use super::{BroadcastProgress, DriveEnd, DriveResult, WaitReason};

/// A broadcast that this process drives, during the driving and after it.
#[derive(Debug)]
pub struct ActiveBroadcast {
    pub name: String,
    pub run: String,
    /// The live progress of the broadcast.
    pub progress: BroadcastProgress,
    /// The broadcast's own rate limit, in messages a second.
    pub cap: Option<f64>,
    hours: SendingHours,
    delivery: Rc<Delivery>,
    call: Call,
    driven: OnceCell<DriveResult>,
}

impl ActiveBroadcast {
    /// A broadcast that `delivery` is about to drive.
    pub fn new(delivery: &Rc<Delivery>, broadcast: &Broadcast) -> Self {
        Self {
            name: broadcast.name.clone(),
            run: broadcast.run.clone(),
            progress: BroadcastProgress::default(),
            cap: broadcast.spec.rate,
            // The driver refuses hours that cannot be read.
            hours: SendingHours::new(broadcast.spec.window.as_ref()).unwrap_or_default(),
            delivery: Rc::clone(delivery),
            call: broadcast.spec.call,
            driven: OnceCell::new(),
        }
    }

    /// The quota that the broadcast's calls take permits from.
    pub fn quota(&self) -> &Quota {
        self.delivery.quotas.of_call(self.call)
    }

    /// What the broadcast waits for; `None` if it does not wait.
    pub fn wait(&self) -> Option<BroadcastWait> {
        let (delivery, status) = (&self.delivery, self.quota().status());
        let capped = self.cap.is_some_and(|cap| cap <= status.pace);
        BroadcastWait::seen(
            &self.progress.snapshot(),
            &status,
            capped,
            delivery.token_wait(),
            &delivery.clock,
        )
    }

    /// The time until `left` recipients will have been sent to in the broadcast's hours, at the recent rate, or at the
    /// highest possible rate (`most`) while nothing can be sent. `None` if it cannot be predicted.
    pub fn time_left(
        &self,
        left: u64,
        rate: Option<f64>,
        most: f64,
        wait: Option<&BroadcastWait>,
    ) -> Option<Duration> {
        let now = self.delivery.clock.unix_time();
        self.hours.ends_at(now, left, rate, most, wait).map(|end| end.saturating_sub(now))
    }

    /// Records how the driving ended.
    pub fn ended(&self, driven: &DriveResult) {
        // A broadcast is driven once, so the cell is empty.
        let _ = self.driven.set(driven.clone());
    }

    /// How the driving ended; `None` while it goes on.
    pub fn end(&self) -> Option<&DriveResult> {
        self.driven.get()
    }

    /// Whether it waits for an approval, or waited for one when it was interrupted.
    pub fn awaits_approval(&self) -> bool {
        matches!(self.progress.snapshot().waits_for, Some(WaitReason::Approval))
            && !self
                .end()
                .is_some_and(|driven| matches!(driven.end, DriveEnd::Finished | DriveEnd::Cancelled))
    }

    /// The number of recipients still to be sent to.
    pub const fn left(counts: &RecipientCounts) -> u64 {
        counts.pending + counts.sending
    }
}
