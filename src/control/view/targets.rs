//! What a lookup of a broadcast's groups found, for people.

use serde::Serialize;
use utoipa::ToSchema;

use crate::core::{GroupFindings, ListedTargets};

/// The most groups that a warning names.
const NAMED: usize = 5;

/// What the latest lookup of groups found. Groups that do not exist or are disabled refuse a plan before it is fixed; of one
/// that goes on, they are skipped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TargetsView {
    /// How many groups were looked up.
    pub groups: u64,
    pub warnings: Vec<TargetWarning>,
}

/// Groups that get the message otherwise than their members may expect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TargetWarning {
    pub kind: TargetWarningKind,
    pub total: u64,
    /// The first of them, at most 5.
    pub first: Vec<String>,
}

/// What is special about groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TargetWarningKind {
    /// They do not exist.
    Missing,
    /// They are disabled.
    Disabled,
    /// All members are muted.
    Muted,
    /// `need_group_ack` brings no receipts, because a group has more than 200 members.
    NoReceipts,
    /// Members who are offline get no push notification, because a group has more than 3,000 members.
    NoPush,
}

impl TargetWarningKind {
    /// What is special about the groups, as a phrase.
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::Missing => "groups that do not exist",
            Self::Disabled => "disabled groups",
            Self::Muted => "muted groups",
            Self::NoReceipts => {
                "groups of more than 200 members, in which `need_group_ack` brings no receipts"
            }
            Self::NoPush => "groups of more than 3,000 members, who get no push notification",
        }
    }
}

impl From<&GroupFindings> for TargetsView {
    fn from(found: &GroupFindings) -> Self {
        let warning = |kind, groups: &ListedTargets| {
            let first = groups.listed.iter().take(NAMED).cloned().collect();
            (groups.total > 0).then_some(TargetWarning { kind, total: groups.total, first })
        };
        let warnings = [
            warning(TargetWarningKind::Missing, &found.missing_groups),
            warning(TargetWarningKind::Disabled, &found.disabled_groups),
            warning(TargetWarningKind::Muted, &found.muted_groups),
            warning(TargetWarningKind::NoReceipts, &found.large_receipt_groups),
            warning(TargetWarningKind::NoPush, &found.groups_without_push),
        ];
        Self { groups: found.groups_checked, warnings: warnings.into_iter().flatten().collect() }
    }
}
