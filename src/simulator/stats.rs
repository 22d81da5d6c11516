//! Totals.

use std::collections::BTreeMap;

use serde::Serialize;

/// Totals since the start or the last reset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Requests by call, including those with faults.
    pub calls: BTreeMap<&'static str, u64>,
    /// Group messages accepted: one for each group of a call.
    pub group_messages: u64,
    /// Targeted messages accepted.
    pub targeted_messages: u64,
    /// Messages to users accepted: one for each user of a call.
    pub user_messages: u64,
    /// Messages to rooms accepted: one for each room of a call.
    pub room_messages: u64,
    /// Announcements accepted.
    pub announcements: u64,
    /// Groups that got a message.
    pub groups_reached: u64,
    /// Tokens issued.
    pub tokens: u64,
    /// Files accepted.
    pub uploads: u64,
    pub recalled: u64,
    pub edited: u64,
    /// Messages that were accepted and then stopped by moderation. They count in the totals too.
    pub moderated: u64,
    /// History files fetched with a token. A client must send none.
    pub history_files_with_token: u64,
    /// Callbacks by what became of them: `taken`, `failed` (a post that was not taken), `lost` after a second post,
    /// `banned` (not posted, since the rule was banned), `dropped` (too many waited). What a fault loses is in `faults`.
    pub callbacks: BTreeMap<&'static str, u64>,
    /// Refused requests by error, such as `429 reach_limit: This request has reached api limit`. Answers made by
    /// faults do not count.
    pub refused: BTreeMap<String, u64>,
    /// Faults by rule.
    pub faults: BTreeMap<String, u64>,
}

impl Stats {
    /// Returns the number of all accepted messages.
    pub fn messages(&self) -> u64 {
        self.group_messages
            + self.targeted_messages
            + self.user_messages
            + self.room_messages
            + self.announcements
    }
}
