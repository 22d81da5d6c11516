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
    /// Groups that got a message.
    pub groups_reached: u64,
    /// Tokens issued.
    pub tokens: u64,
    /// Files accepted.
    pub uploads: u64,
    pub recalled: u64,
    /// Refused requests by error, such as `429 reach_limit: This request has reached api limit`. Answers made by
    /// faults do not count.
    pub refused: BTreeMap<String, u64>,
    /// Faults by rule.
    pub faults: BTreeMap<String, u64>,
}

impl Stats {
    /// Returns the number of all accepted messages.
    pub fn messages(&self) -> u64 {
        self.group_messages + self.targeted_messages
    }
}
