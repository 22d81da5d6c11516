//! Looks up the groups that are about to get messages. The service accepts messages to groups that do not exist, and
//! reports no error.

use std::collections::HashMap;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use tokio_util::sync::CancellationToken;

use super::Delivery;
use crate::client::{DETAILS_MAX, GroupDetails};
use crate::core::{GroupFindings, ListedTargets, RequestFailure};
use crate::message::counted_as;

/// The most calls at once: enough for the quota of reads where an answer takes a quarter of a second.
const AT_ONCE: usize = 25;

/// The most members of a group in which the service supports receipts (contract).
const RECEIPT_MEMBERS: u64 = 200;

/// The most members of a group whose members get a push notification when they are offline.
const PUSH_MEMBERS: u64 = 3000;

/// The most names in a sentence.
const SHOWN: usize = 5;

/// Groups that get no message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnreachableGroups {
    pub missing: Vec<String>,
    pub disabled: Vec<String>,
}

/// `2 groups are muted (101, 102)`; `None` for no names.
fn phrase(targets: &ListedTargets, one: &str, many: &str) -> Option<String> {
    if targets.total == 0 {
        return None;
    }
    let shown: Vec<&str> = targets.listed.iter().take(SHOWN).map(String::as_str).collect();
    let more = if targets.total > shown.len() as u64 { ", …" } else { "" };
    Some(format!("{} ({}{more})", counted_as(targets.total, one, many), shown.join(", ")))
}

impl GroupFindings {
    /// What makes a group get no message, as a sentence; `None` if there is nothing.
    pub fn problem(&self) -> Option<String> {
        let parts = [
            phrase(&self.missing_groups, "group does not exist", "groups do not exist"),
            phrase(&self.disabled_groups, "group is disabled", "groups are disabled"),
        ];
        join(parts)
    }

    /// What is worth knowing before the send, as a sentence; `None` if there is nothing.
    pub fn warning(&self) -> Option<String> {
        let parts = [
            phrase(&self.muted_groups, "group is muted", "groups are muted"),
            phrase(
                &self.large_receipt_groups,
                "group has more than 200 members, so `need_group_ack` brings no receipts",
                "groups have more than 200 members, so `need_group_ack` brings no receipts",
            ),
            phrase(
                &self.groups_without_push,
                "group has more than 3,000 members, who get no push notification",
                "groups have more than 3,000 members, who get no push notification",
            ),
        ];
        join(parts)
    }
}

fn join(parts: impl IntoIterator<Item = Option<String>>) -> Option<String> {
    let phrases: Vec<String> = parts.into_iter().flatten().collect();
    (!phrases.is_empty()).then(|| phrases.join("; "))
}

impl Delivery {
    /// The details of groups, a hundred a call, several calls at once. A group that does not exist is absent.
    pub async fn group_details(
        &self,
        ids: &[String],
        stop: &CancellationToken,
    ) -> Result<Vec<GroupDetails>, RequestFailure> {
        if let Some(id) = ids.iter().find(|id| !is_one_id(id)) {
            return Err(RequestFailure::invalid(
                "group_id",
                format!("\"{}\" is not a group id: an id has no comma and no slash", id.escape_debug()),
            ));
        }
        let calls = ids.chunks(DETAILS_MAX).map(|ids| self.details_of(ids, stop));
        stream::iter(calls).buffered(AT_ONCE).try_concat().await
    }

    /// Makes one call, or several where the service does not say which of the groups is missing.
    async fn details_of(
        &self,
        ids: &[String],
        stop: &CancellationToken,
    ) -> Result<Vec<GroupDetails>, RequestFailure> {
        let mut found = Vec::with_capacity(ids.len());
        let mut left = vec![ids];
        while let Some(ids) = left.pop() {
            match self.ask(stop, || self.client.group_details(ids)).await {
                Ok(groups) => found.extend(groups),
                Err(failure) if failure.status == Some(404) => {
                    if ids.len() > 1 {
                        let (first, second) = ids.split_at(ids.len() / 2);
                        left.extend([second, first]);
                    }
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(found)
    }

    /// Looks up groups, each with whether its members are asked for receipts, and adds what it finds. Returns those that get
    /// no message.
    pub async fn look_up_groups(
        &self,
        groups: &[(String, bool)],
        findings: &mut GroupFindings,
        stop: &CancellationToken,
    ) -> Result<UnreachableGroups, RequestFailure> {
        // What the service would take for several ids is not a group's.
        let ids: Vec<String> = groups.iter().map(|(id, _)| id).filter(|id| is_one_id(id)).cloned().collect();
        let found = self.group_details(&ids, stop).await?;
        let found: HashMap<&str, &GroupDetails> =
            found.iter().map(|group| (group.group_id.as_str(), group)).collect();
        let mut unreachable = UnreachableGroups::default();
        for (id, asks_receipts) in groups {
            findings.groups_checked += 1;
            let Some(group) = found.get(id.as_str()) else {
                findings.missing_groups.add(id.clone());
                unreachable.missing.push(id.clone());
                continue;
            };
            if group.disabled {
                unreachable.disabled.push(id.clone());
            }
            let members = group.members.unwrap_or(0);
            for (list, is_so) in [
                (&mut findings.disabled_groups, group.disabled),
                (&mut findings.muted_groups, group.muted),
                (&mut findings.large_receipt_groups, *asks_receipts && members > RECEIPT_MEMBERS),
                (&mut findings.groups_without_push, members > PUSH_MEMBERS),
            ] {
                if is_so {
                    list.add(id.clone());
                }
            }
        }
        Ok(unreachable)
    }
}

/// Whether the path of a call holds the id as one.
fn is_one_id(id: &str) -> bool {
    !id.contains([',', '/']) && !matches!(id, "" | "." | "..")
}
