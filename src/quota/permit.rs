//! The permission to send one call.

use std::sync::Arc;
use std::time::Duration;

use super::acquire::QuotaInner;
use super::engine::SentCall;
use crate::clock::Instant;

/// The outcome of a written call, as far as its quota is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PermitOutcome {
    /// The service accepted the call.
    Accepted,
    /// The service refused the call as too many.
    Throttled {
        /// The wait that the service asked for; `None` if it named none. No permit of this quota is given before it has
        /// passed.
        retry_after: Option<Duration>,
    },
    /// The service answered something that has nothing to do with the quota.
    Other,
    /// No answer came, and none will come.
    Missing,
}

/// The permission to send one call now. If it is dropped before [`Permit::written`], it goes back to the quota, because
/// nothing was sent. If it is dropped after that, the call counts as sent without an answer.
///
/// A returned permit frees its slots for the next call at once. Only the fixed rate limit has counted it.
#[derive(Debug)]
#[must_use = "a permit that is dropped goes back to its quota"]
pub struct Permit {
    shared: Arc<QuotaInner>,
    cost: u32,
    stage: PermitStage,
    /// The permit of the quota that counts the call itself.
    call: Option<Box<Self>>,
}

#[derive(Debug, Clone, Copy)]
enum PermitStage {
    Granted,
    Written(SentCall),
    Settled,
}

impl Permit {
    pub(super) fn new(shared: Arc<QuotaInner>, cost: u32) -> Self {
        Self { shared, cost, stage: PermitStage::Granted, call: None }
    }

    /// Joins the permit of a call's messages with one of the quota that counts calls. Both are written together.
    pub fn with_call(mut self, call: Self) -> Self {
        self.call = Some(Box::new(call));
        self
    }

    pub fn cost(&self) -> u32 {
        self.cost
    }

    /// Records that the request is written now. The guard counts its second from this instant on. Repeated calls have
    /// no effect.
    pub fn written(&mut self) {
        if matches!(self.stage, PermitStage::Granted) {
            let mut engine = self.shared.lock();
            // The clock is read under the lock, so that calls are numbered in the order of their instants.
            let written = self.shared.now();
            let (number, earlier) = engine.written(self.cost, written);
            drop(engine);
            self.stage = PermitStage::Written(SentCall { number, written, cost: self.cost });
            if earlier {
                self.shared.call_driver();
            }
        }
        if let Some(call) = &mut self.call {
            call.written();
        }
    }

    /// Records that the answer has arrived now, or that none will come. If the call was never written, the permit goes
    /// back.
    pub fn answered(mut self, answer: PermitOutcome) {
        self.settle(answer);
    }

    /// The instant of [`Permit::written`]; `None` if it was not called.
    pub fn written_at(&self) -> Option<Instant> {
        match self.stage {
            PermitStage::Written(sent) => Some(sent.written),
            PermitStage::Granted | PermitStage::Settled => None,
        }
    }

    /// As [`Permit::answered`], for a permit with another holder. Repeated calls have no effect.
    pub fn settle(&mut self, answer: PermitOutcome) {
        self.settle_each(answer, answer);
    }

    /// As [`Permit::settle`], with an outcome for the quota of messages and one for the quota of calls.
    pub fn settle_each(&mut self, answer: PermitOutcome, of_call: PermitOutcome) {
        if let Some(call) = &mut self.call {
            call.settle(of_call);
        }
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
