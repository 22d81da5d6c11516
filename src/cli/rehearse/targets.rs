//! Checks the recipients of a rehearsal against the service's own lists. The service accepts messages to groups and
//! senders that do not exist, and reports no error.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::{self, Write};

use anyhow::{Context, Result};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::delivery::Delivery;
use crate::run::rehearsal;

use super::dry_run::DryRun;
use super::text::{number, plural};

/// The maximum number of missing names in the report; more are only counted.
const LISTED: usize = 100;

/// The maximum number of missing names in the text.
const SHOWN: usize = 20;

/// The maximum number of groups whose members are queried.
const GROUPS_ASKED: usize = 1000;

/// The counts of checked names, and the missing ones.
#[derive(Debug, Default, Serialize)]
pub(super) struct TargetsReport {
    pub(super) groups_checked: u64,
    pub(super) members_checked: u64,
    pub(super) senders_checked: u64,
    /// Members that were not checked because there are too many groups.
    pub(super) members_not_checked: u64,
    pub(super) missing_groups: MissingTargets,
    pub(super) missing_members: MissingTargets,
    /// Senders that are in none of the queried groups.
    pub(super) missing_senders: MissingTargets,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct MissingTargets {
    pub(super) total: u64,
    /// The first missing names.
    pub(super) listed: Vec<String>,
}

impl MissingTargets {
    fn add(&mut self, what: String) {
        self.total += 1;
        if self.listed.len() < LISTED {
            self.listed.push(what);
        }
    }
}

impl TargetsReport {
    /// Whether all names exist.
    pub(super) fn is_clean(&self) -> bool {
        [&self.missing_groups, &self.missing_members, &self.missing_senders]
            .iter()
            .all(|missing| missing.total == 0)
    }

    pub(super) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(
            out,
            "\nIn the service's lists: looked for {}, {} and {}",
            plural(self.groups_checked, "group"),
            plural(self.members_checked, "member"),
            plural(self.senders_checked, "sender")
        )?;
        if self.members_not_checked > 0 {
            writeln!(
                out,
                "  {} not looked for, being in too many groups: {}",
                if self.members_not_checked == 1 { "a member was" } else { "members were" },
                number(self.members_not_checked)
            )?;
        }
        for (missing, what) in [
            (&self.missing_groups, "groups that are not there"),
            (&self.missing_members, "members who are not in their group"),
            (&self.missing_senders, "senders who are in none of their groups"),
        ] {
            if missing.total > 0 {
                let named: Vec<&str> = missing.listed.iter().take(SHOWN).map(String::as_str).collect();
                let more = missing.total - named.len() as u64;
                let more = if more > 0 { format!(" and {} more", number(more)) } else { String::new() };
                writeln!(out, "  {what} ({}): {}{more}", number(missing.total), named.join(", "))?;
            }
        }
        if self.is_clean() {
            writeln!(out, "  all of them are there")?;
        }
        Ok(())
    }
}

/// Looks up the recipients of a rehearsal. `lists` are the connections to the real lists, one per app.
pub(super) async fn check(performance: &DryRun, lists: &[std::rc::Rc<Delivery>]) -> Result<TargetsReport> {
    let mut found = TargetsReport::default();
    // It is never cancelled: Ctrl-C ends the program, which has changed nothing.
    let stop = CancellationToken::new();
    for (app, wanted) in performance.rehearsal.targets() {
        let road = lists
            .iter()
            .find(|road| road.name() == app)
            .with_context(|| format!("no lists for app {app}"))?;
        look_up(road, &stop, &wanted, &mut found).await.with_context(|| format!("the lists of app {app}"))?;
    }
    Ok(found)
}

async fn look_up(
    road: &Delivery,
    stop: &CancellationToken,
    wanted: &rehearsal::RehearsalTargets,
    found: &mut TargetsReport,
) -> Result<()> {
    let mut missing: BTreeSet<&String> = wanted.groups.iter().collect();
    found.groups_checked += missing.len() as u64;
    let mut cursor: Option<String> = None;
    while !missing.is_empty() {
        let page = road.groups(cursor.as_deref(), stop).await?;
        for group in &page.items {
            missing.remove(&group.group_id);
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    for group in &missing {
        found.missing_groups.add((*group).clone());
    }

    let mut known: BTreeMap<&str, HashSet<String>> = BTreeMap::new();
    for (group, users) in wanted.members.iter().filter(|(group, _)| !missing.contains(group)) {
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
        for group in groups.iter().filter(|group| !missing.contains(group)) {
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
