//! The leave to send one call.

use std::sync::Arc;
use std::time::Duration;

use super::acquire::QuotaInner;
use super::engine::SentCall;
use crate::clock::Instant;

/// What became of a call that was written, as far as its quota is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PermitOutcome {
    /// The service took it.
    Accepted,
    /// The service refused it as too much.
    Throttled {
        /// When to come back, where the service said so: until then no permit of this quota is given.
        retry_after: Option<Duration>,
    },
    /// The service said something that has nothing to do with the quota.
    Other,
    /// There is no answer, and there will be none.
    Missing,
}

/// The leave to send one call now. Dropped before [`Permit::written`] it goes back to the quota, because nothing was
/// sent; dropped after it, the call counts as sent and without an answer.
///
/// A permit that came back gives its place to the next at once; only the fixed ceiling has counted it.
#[derive(Debug)]
#[must_use = "a permit that is dropped goes back to its quota"]
pub struct Permit {
    shared: Arc<QuotaInner>,
    cost: u32,
    stage: PermitStage,
}

#[derive(Debug, Clone, Copy)]
enum PermitStage {
    Granted,
    Written(SentCall),
    Settled,
}

impl Permit {
    pub(super) fn new(shared: Arc<QuotaInner>, cost: u32) -> Self {
        Self { shared, cost, stage: PermitStage::Granted }
    }

    /// What the call counts against its quota.
    #[must_use]
    pub fn cost(&self) -> u32 {
        self.cost
    }

    /// The request is written now: from this instant on the guard counts its second. Said again it changes nothing.
    pub fn written(&mut self) {
        if matches!(self.stage, PermitStage::Granted) {
            let mut engine = self.shared.lock();
            // The clock is asked under the lock, so that calls are numbered in the order of their instants.
            let written = self.shared.now();
            let (number, earlier) = engine.written(self.cost, written);
            drop(engine);
            self.stage = PermitStage::Written(SentCall { number, written, cost: self.cost });
            if earlier {
                self.shared.call_driver();
            }
        }
    }

    /// The answer has come now, or it is certain that none will. Of a call that was never written nothing can be
    /// answered: its permit goes back.
    pub fn answered(mut self, answer: PermitOutcome) {
        self.settle(answer);
    }

    /// The instant given by [`Permit::written`], if it was.
    #[must_use]
    pub fn written_at(&self) -> Option<Instant> {
        match self.stage {
            PermitStage::Written(sent) => Some(sent.written),
            PermitStage::Granted | PermitStage::Settled => None,
        }
    }

    /// The same for a permit that somebody else holds too. Said again it changes nothing.
    pub fn settle(&mut self, answer: PermitOutcome) {
        let stage = std::mem::replace(&mut self.stage, PermitStage::Settled);
        if matches!(stage, PermitStage::Settled) {
            return;
        }
        let earlier = {
            let mut engine = self.shared.lock();
            let now = self.shared.now();
            match stage {
                PermitStage::Granted => engine.give_back(self.cost, now),
                PermitStage::Written(sent) => engine.answered(sent, answer, now),
                PermitStage::Settled => false,
            }
        };
        if earlier {
            self.shared.call_driver();
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.settle(PermitOutcome::Missing);
    }
}
