//! What a lookup of groups at the service found.

use serde::{Deserialize, Serialize};

/// The most names of each finding; more are only counted.
const LISTED: usize = 100;

/// Names with something in common.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedTargets {
    pub total: u64,
    /// The first names, at most 100.
    pub listed: Vec<String>,
}

impl ListedTargets {
    pub fn add(&mut self, name: String) {
        self.total += 1;
        if self.listed.len() < LISTED {
            self.listed.push(name);
        }
    }
}

/// What a lookup of groups found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupFindings {
    pub groups_checked: u64,
    pub missing_groups: ListedTargets,
    pub disabled_groups: ListedTargets,
    /// Groups in which all members are muted.
    pub muted_groups: ListedTargets,
    /// Groups that are asked for receipts and have more members than the service supports for them.
    pub large_receipt_groups: ListedTargets,
    /// Groups with so many members that the service pushes nothing to those who are offline.
    pub groups_without_push: ListedTargets,
}

impl GroupFindings {
    /// Whether every group exists and is not disabled.
    pub const fn all_reachable(&self) -> bool {
        self.missing_groups.total == 0 && self.disabled_groups.total == 0
    }
}
