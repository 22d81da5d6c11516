//! Checks the recipients of a rehearsal against the service's own lists. The service accepts messages to groups and
//! senders that do not exist, and reports no error.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Write};

use anyhow::{Context, Result};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::control::amount;
use crate::core::{GroupFindings, ListedTargets};
use crate::delivery::Delivery;
use crate::run::rehearsal;

use super::dry_run::DryRun;
use super::text::plural;

/// The maximum number of missing names in the text.
const SHOWN: usize = 20;

/// The maximum number of groups whose members are queried.
const GROUPS_ASKED: usize = 1000;

/// The most groups that are looked up at once.
const PAGE: usize = 10_000;

/// The counts of checked names, and the missing ones.
#[derive(Debug, Default, Serialize)]
pub(super) struct TargetsReport {
    #[serde(flatten)]
    pub(super) groups: GroupFindings,
    pub(super) members_checked: u64,
    pub(super) senders_checked: u64,
    /// Members that were not checked because there are too many groups.
    pub(super) members_not_checked: u64,
    pub(super) missing_members: ListedTargets,
    /// Senders that are in none of the queried groups.
    pub(super) missing_senders: ListedTargets,
    /// Why not everything was looked up.
    pub(super) error: Option<String>,
}

impl TargetsReport {
    /// Whether all names were looked up and exist, and no group is disabled.
    pub(super) const fn is_clean(&self) -> bool {
        self.error.is_none() && self.none_missing()
    }

    /// Whether all names that were looked up exist, and no group is disabled.
    pub(super) const fn none_missing(&self) -> bool {
        self.groups.all_reachable() && self.missing_members.total == 0 && self.missing_senders.total == 0
    }

    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(
            out,
            "\nLooked up in the service's lists: {}, {} and {}",
            plural(self.groups.groups_checked, "group"),
            plural(self.members_checked, "member"),
            plural(self.senders_checked, "sender")
        )?;
        if self.members_not_checked > 0 {
            writeln!(
                out,
                "  {} not looked up, because there are too many groups: {}",
                if self.members_not_checked == 1 { "a member was" } else { "members were" },
                amount(self.members_not_checked)
            )?;
        }
        for (missing, what) in [
            (&self.groups.missing_groups, "groups that do not exist"),
            (&self.groups.disabled_groups, "groups that are disabled"),
            (&self.missing_members, "users who are not members of their group"),
            (&self.missing_senders, "senders who are in none of their groups"),
            (&self.groups.muted_groups, "groups in which all members are muted"),
            (
                &self.groups.large_receipt_groups,
                "groups of more than 200 members, in which `need_group_ack` brings no receipts",
            ),
            (
                &self.groups.groups_without_push,
                "groups of more than 3,000 members, who get no push notification",
            ),
        ] {
            if missing.total > 0 {
                let named: Vec<&str> = missing.listed.iter().take(SHOWN).map(String::as_str).collect();
                let more = missing.total - named.len() as u64;
                let more = if more > 0 { format!(" and {} more", amount(more)) } else { String::new() };
                writeln!(out, "  {what} ({}): {}{more}", amount(missing.total), named.join(", "))?;
            }
        }
        if let Some(error) = &self.error {
            writeln!(out, "  the others were not looked up: {error}")?;
        }
        if self.is_clean() {
            writeln!(out, "  all of them exist")?;
        }
        Ok(())
    }
}

/// Looks up the groups of a rehearsal, and with `members` also the users and the senders. `lists` are the connections to the
/// real lists, one per app.
pub(super) async fn check(dry_run: &DryRun, lists: &[std::rc::Rc<Delivery>], members: bool) -> TargetsReport {
    let mut found = TargetsReport::default();
    let error = look_up_all(dry_run, lists, members, &mut found).await.err();
    found.error = error.map(|error| format!("{error:#}"));
    found
}

async fn look_up_all(
    dry_run: &DryRun,
    lists: &[std::rc::Rc<Delivery>],
    members: bool,
    found: &mut TargetsReport,
) -> Result<()> {
    // It is never cancelled: Ctrl-C ends the program, which has changed nothing.
    let stop = CancellationToken::new();
    for (app, wanted) in dry_run.rehearsal.targets() {
        let road = lists
            .iter()
            .find(|road| road.name() == app)
            .with_context(|| format!("no lists for app {app}"))?;
        let looked_up = look_up(road, &stop, &wanted, members, found).await;
        looked_up.with_context(|| format!("the lists of app {app}"))?;
    }
    Ok(())
}

async fn look_up(
    road: &Delivery,
    stop: &CancellationToken,
    wanted: &rehearsal::RehearsalTargets,
    users: bool,
    found: &mut TargetsReport,
) -> Result<()> {
    let groups: Vec<(String, bool)> =
        wanted.groups.iter().map(|group| (group.clone(), wanted.receipts.contains(group))).collect();
    let mut missing = HashSet::new();
    for some in groups.chunks(PAGE) {
        missing.extend(road.look_up_groups(some, &mut found.groups, stop).await?.missing);
    }
    if !users {
        return Ok(());
    }

    let mut known: BTreeMap<&str, HashSet<String>> = BTreeMap::new();
    for (group, users) in wanted.members.iter().filter(|(group, _)| !missing.contains(*group)) {
        if known.len() == GROUPS_ASKED {
            found.members_not_checked += users.len() as u64;
            continue;
        }
        let members = members(road, stop, group).await?;
        found.members_checked += users.len() as u64;
        for user in users.iter().filter(|user| !members.contains(*user)) {
            found.missing_members.add(format!("{user} of {group}"));
        }
        known.insert(group, members);
    }
    for (sender, groups) in &wanted.senders {
        found.senders_checked += 1;
        let mut is_there = false;
        for group in groups.iter().filter(|group| !missing.contains(*group)) {
            if !known.contains_key(group.as_str()) {
                known.insert(group, members(road, stop, group).await?);
            }
            is_there = known.get(group.as_str()).is_some_and(|members| members.contains(sender));
            if is_there {
                break;
            }
        }
        if !is_there {
            found.missing_senders.add(sender.clone());
        }
    }
    Ok(())
}

async fn members(road: &Delivery, stop: &CancellationToken, group: &str) -> Result<HashSet<String>> {
    let mut members = HashSet::new();
    let mut page = Some(1);
    while let Some(number) = page {
        let answer = road.members(group, number, stop).await?;
        members.extend(answer.items.into_iter().map(|member| member.user_id));
        page = answer.next;
    }
    Ok(members)
}
