//! The end of the road in a rehearsal: what would leave is shown to a stage, and answered in this process.

use std::fmt::Debug;

use crate::client;
use crate::clock::Instant;
use crate::ledger::BroadcastId;
use crate::message::Message;
use crate::quota::{Permit, PermitOutcome};

use super::Delivery;

/// Sees what would leave.
pub trait Transport: Debug {
    /// A call that the service would get now. Gives the number of its first message id.
    fn deliver(&self, staged: &OutgoingCall<'_>) -> u64;
}

/// A call that would leave.
#[derive(Debug)]
pub struct OutgoingCall<'a> {
    /// The app's name for scripts.
    pub app: &'a str,
    /// What it would send.
    pub message: &'a Message,
    /// The broadcast that it belongs to; none for a single send.
    pub broadcast: Option<BroadcastId>,
    /// When.
    pub at: Instant,
}

impl Delivery {
    /// Shows a call to the stage, which takes every message that came this far.
    pub(super) fn send_over(
        &self,
        stage: &dyn Transport,
        message: &Message,
        broadcast: Option<BroadcastId>,
        mut permit: Permit,
    ) -> client::SendReceipts {
        permit.written();
        let first =
            stage.deliver(&OutgoingCall { app: &self.name, message, broadcast, at: self.clock.now() });
        permit.answered(PermitOutcome::Accepted);
        let ids = first..;
        client::SendReceipts {
            data: message.to().iter().cloned().zip(ids.map(|id| id.to_string())).collect(),
        }
    }
}
