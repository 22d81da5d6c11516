//! The targets of a rehearsal, kept so that they can be looked up in the service's lists.

use std::collections::{BTreeMap, BTreeSet};

use crate::core::Call;
use crate::message::Message;

/// The most groups kept for each sender. The sender is looked up among their members.
const GROUPS_A_SENDER: usize = 20;

/// The sender that the service uses if a message names none. It is not a member of any group.
const SERVICE: &str = "admin";

/// The targets of the messages of one app.
#[derive(Debug, Clone, Default)]
pub struct RehearsalTargets {
    pub groups: BTreeSet<String>,
    /// The groups whose members are asked for receipts.
    pub receipts: BTreeSet<String>,
    /// The members that targeted messages name, by group.
    pub members: BTreeMap<String, BTreeSet<String>>,
    /// The senders, each with some of the groups that it sends to.
    pub senders: BTreeMap<String, BTreeSet<String>>,
}

impl RehearsalTargets {
    pub(super) fn add(&mut self, message: &Message) {
        // The service has no lists in which users or rooms could be looked up.
        if matches!(message.call(), Call::User | Call::Room | Call::Announce) {
            return;
        }
        for group in message.to() {
            if !self.groups.contains(group) {
                self.groups.insert(group.clone());
            }
            if message.draft().need_group_ack() == Some(true) && !self.receipts.contains(group) {
                self.receipts.insert(group.clone());
            }
            if !message.users().is_empty() {
                self.members.entry(group.clone()).or_default().extend(message.users().iter().cloned());
            }
            if let Some(sender) = message.draft().from().filter(|sender| *sender != SERVICE) {
                let groups = match self.senders.get_mut(sender) {
                    Some(groups) => groups,
                    None => self.senders.entry(sender.to_owned()).or_default(),
                };
                if groups.len() < GROUPS_A_SENDER {
                    groups.insert(group.clone());
                }
            }
        }
    }
}
