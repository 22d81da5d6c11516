//! Whom a rehearsal would reach: kept where it will be looked up in the service's lists.

use std::collections::{BTreeMap, BTreeSet};

use crate::message::Message;

/// Groups that are kept for each sender: it is looked for among the members of these.
const GROUPS_A_SENDER: usize = 20;

/// The sender that the service takes where a message names none; it is nobody's member.
const SERVICE: &str = "admin";

/// Whom the messages of one app would reach.
#[derive(Debug, Clone, Default)]
pub struct RehearsalTargets {
    /// The groups.
    pub groups: BTreeSet<String>,
    /// The members that targeted messages name, by group.
    pub members: BTreeMap<String, BTreeSet<String>>,
    /// The senders, each with some of the groups that it writes to.
    pub senders: BTreeMap<String, BTreeSet<String>>,
}

impl RehearsalTargets {
    pub(super) fn add(&mut self, message: &Message) {
        for group in message.to() {
            if !self.groups.contains(group) {
                self.groups.insert(group.clone());
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
