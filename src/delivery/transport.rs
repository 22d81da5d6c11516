//! A transport receives the calls in place of the service, and this process answers them.

use std::fmt::Debug;

use crate::client;
use crate::clock::Instant;
use crate::core::UserScope;
use crate::ledger::{AnnouncementUse, Broadcast, BroadcastId};
use crate::message::Message;
use crate::quota::{Permit, PermitOutcome};

use super::Delivery;
use super::request::edited;

/// Receives the calls that would be sent.
pub trait Transport: Debug {
    /// Receives a call that would be sent to the service now. Returns the number of its first message id.
    fn deliver(&self, staged: &OutgoingCall<'_>) -> u64;

    /// Receives the use of the announcements of an app, with the one that is delivered next.
    fn announces(&self, app: &str, scope: UserScope, counted: &AnnouncementUse);

    /// Receives a recall of this many messages: those of `broadcast`, or of single sends.
    fn recall(&self, messages: u64, broadcast: Option<&Broadcast>);
}

/// A call that would be sent.
#[derive(Debug)]
pub struct OutgoingCall<'a> {
    /// The app's name for scripts.
    pub app: &'a str,
    pub message: &'a Message,
    /// The broadcast that the call belongs to; `None` for a single send.
    pub broadcast: Option<BroadcastId>,
    /// When the call would be sent.
    pub at: Instant,
}

impl Delivery {
    /// Gives a call to the transport, which accepts every message.
    pub(super) fn send_over(
        &self,
        transport: &dyn Transport,
        message: &Message,
        broadcast: Option<BroadcastId>,
        mut permit: Permit,
    ) -> client::SendReceipts {
        permit.written();
        let first =
            transport.deliver(&OutgoingCall { app: &self.name, message, broadcast, at: self.clock.now() });
        permit.answered(PermitOutcome::Accepted);
        if let Some(message_id) = message.edits() {
            return client::SendReceipts { data: edited(message, message_id) };
        }
        let ids = first..;
        client::SendReceipts {
            data: message.to().iter().cloned().zip(ids.map(|id| id.to_string())).collect(),
        }
    }
}
