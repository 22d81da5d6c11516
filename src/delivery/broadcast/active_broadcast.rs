//! A broadcast that this process drives, for display.

use std::cell::OnceCell;
use std::rc::Rc;

use crate::core::Call;
use crate::ledger::{Broadcast, RecipientCounts};
use crate::quota::Quota;

use super::super::{BroadcastWait, Delivery};
use super::{BroadcastProgress, DriveResult};

/// A broadcast that this process drives, during the driving and after it.
#[derive(Debug)]
pub struct ActiveBroadcast {
    pub name: String,
    pub run: String,
    /// The live progress of the broadcast.
    pub progress: BroadcastProgress,
    /// The broadcast's own rate limit, in messages a second.
    pub cap: Option<f64>,
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
            delivery: Rc::clone(delivery),
            call: broadcast.spec.call,
            driven: OnceCell::new(),
        }
    }

    /// The quota that the broadcast's calls take permits from.
    pub fn quota(&self) -> &Quota {
        match self.call {
            Call::Group => &self.delivery.quotas.group,
            Call::Targeted => &self.delivery.quotas.targeted,
        }
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

    /// Records how the driving ended.
    pub fn ended(&self, driven: &DriveResult) {
        // A broadcast is driven once, so the cell is empty.
        let _ = self.driven.set(driven.clone());
    }

    /// How the driving ended; `None` while it goes on.
    pub fn end(&self) -> Option<&DriveResult> {
        self.driven.get()
    }

    /// The number of recipients still to be sent to.
    pub const fn left(counts: &RecipientCounts) -> u64 {
        counts.pending + counts.sending
    }
}
