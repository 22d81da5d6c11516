//! A broadcast that this process drives, for whoever shows it.

use std::cell::OnceCell;
use std::rc::Rc;

use crate::ledger::{Broadcast, RecipientCounts};
use crate::message::MessageCall;
use crate::quota::Quota;

use super::super::{BroadcastWait, Delivery};
use super::{BroadcastProgress, DriveResult};

/// A broadcast that this process drives, while it goes on and after.
#[derive(Debug)]
pub struct ActiveBroadcast {
    /// Its name.
    pub name: String,
    /// Which run of that name.
    pub run: String,
    /// How it stands.
    pub progress: BroadcastProgress,
    /// A cap of its own, in messages a second.
    pub cap: Option<f64>,
    delivery: Rc<Delivery>,
    call: MessageCall,
    driven: OnceCell<DriveResult>,
}

impl ActiveBroadcast {
    /// A broadcast that is about to be driven by `delivery`.
    #[must_use]
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

    /// The quota that it draws on.
    #[must_use]
    pub fn quota(&self) -> &Quota {
        match self.call {
            MessageCall::Group => &self.delivery.quotas.group,
            MessageCall::Targeted => &self.delivery.quotas.targeted,
        }
    }

    /// What it waits for, where it waits.
    #[must_use]
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

    /// Says how the driving ended.
    pub fn ended(&self, driven: &DriveResult) {
        // It is driven once.
        let _ = self.driven.set(driven.clone());
    }

    /// How the driving ended, once it has.
    #[must_use]
    pub fn end(&self) -> Option<&DriveResult> {
        self.driven.get()
    }

    /// Recipients that it still has to come to.
    #[must_use]
    pub const fn left(counts: &RecipientCounts) -> u64 {
        counts.pending + counts.sending
    }
}
