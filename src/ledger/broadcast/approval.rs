//! Approvals of broadcasts: what an approval covers, who began the broadcast or changed its plan, and the
//! approval.
//!
//! An approval is of a hash over the plan and over the settings that change who gets what and when. A plan with another
//! hash waits again.

use const_format::formatcp;
use data_encoding::HEXLOWER;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::core::{Actor, Person};
use crate::ledger::audit_chain::PendingAct;
use crate::ledger::sql::sql;
use crate::ledger::state::command::CANCEL;
use crate::ledger::state::stage::READY;
use crate::ledger::store::{Transaction, millis};
use crate::ledger::{BroadcastStage, Ledger, LedgerError};

use super::{Broadcast, BroadcastId, BroadcastPlan, StoredSpec};

/// The condition on a row of `broadcasts` that its plan needs an approval and has none.
const UNAPPROVED: &str =
    "(needs_approval = 1 AND (approved IS NULL OR approved IS DISTINCT FROM approval_hash))";

/// The condition on a row of `broadcasts` that it waits for an approval. One with nothing to send waits for nothing.
pub(in crate::ledger) const AWAITS: &str = formatcp!("({UNAPPROVED} AND n_pending > 0)");

/// The stage of the broadcast ?1 if it may be sent; otherwise no stage.
pub(in crate::ledger) const STAGE_TO_SEND: &str =
    formatcp!("(SELECT CASE WHEN {UNAPPROVED} THEN -1 ELSE state END FROM broadcasts WHERE id = ?1)");

/// Fields of a specification that do not change who gets what and when.
const OF_NO_MESSAGE: [&str; 13] = [
    "tested",
    "preflight",
    "targets",
    "script",
    "inputs",
    "job",
    "args",
    "compared_by",
    "decision",
    "changes",
    "more",
    "approval_over",
    "begun_by",
];

/// Who approved a broadcast, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    pub by: Person,
    pub at: std::time::Duration,
    pub note: Option<String>,
}

/// The result of an approval or a rejection.
#[derive(Debug, Clone, PartialEq)]
pub enum ApprovalResult {
    Done,
    /// The broadcast does not wait for an approval.
    NotAwaited(Broadcast),
    /// The plan is another one than the approver saw.
    OtherPlan(Broadcast),
    /// The approver began the broadcast or changed its plan.
    OwnPlan(Broadcast),
}

/// The columns of a broadcast that belong to the approval of its plan.
pub(super) struct ApprovalColumns {
    /// 1 if the plan needs an approval.
    pub(super) needs: i64,
    pub(super) hash: String,
    /// The persons who began the broadcast or changed its plan, each in its stored form.
    pub(super) begun_by: Vec<String>,
}

impl ApprovalColumns {
    /// The columns for a plan. No person can approve on a scratch ledger, so no plan needs an approval there.
    pub(super) fn new(ledger: &Ledger, plan: &BroadcastPlan, spec: &StoredSpec) -> Self {
        let is_over = spec.approval_over.is_some_and(|over| plan.total > over);
        let needs = is_over && ledger.store().driver.has_other_processes();
        let acting = PendingAct::actor().map(|actor| Person::of(&actor));
        let mut begun_by: Vec<String> = Vec::new();
        for person in spec.begun_by.iter().chain(&acting) {
            let line = line(person);
            if !begun_by.contains(&line) {
                begun_by.push(line);
            }
        }
        Self { needs: i64::from(needs), hash: covered(plan, spec), begun_by }
    }
}

/// The hash of what an approval of this plan covers.
fn covered(plan: &BroadcastPlan, spec: &StoredSpec) -> String {
    let mut fields = serde_json::to_value(spec).unwrap_or(Value::Null);
    if let Some(fields) = fields.as_object_mut() {
        fields.retain(|name, _| !OF_NO_MESSAGE.contains(&name.as_str()));
    }
    let parts = [&plan.hash, &plan.details, &fields.to_string()];
    let digest =
        parts.iter().fold(Sha256::new(), |digest, part| digest.chain_update(part).chain_update("\n"));
    HEXLOWER.encode(&digest.finalize())
}

/// The line of a person in `begun_by`.
fn line(person: &Person) -> String {
    // Two texts, so serialization cannot fail. JSON has no line feed.
    serde_json::to_string(person).unwrap_or_default() + "\n"
}

/// The people of `begun_by`.
pub(super) fn people(lines: &str) -> Vec<Person> {
    lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

impl Broadcast {
    /// The number of recipients that are neither skipped nor cancelled.
    pub const fn recipients(&self) -> u64 {
        self.counts.total().saturating_sub(self.counts.skipped + self.counts.cancelled)
    }

    /// Whether its plan is fixed and waits for an approval. One with nothing to send waits for nothing.
    pub fn awaits_approval(&self) -> bool {
        self.stage == BroadcastStage::Ready
            && self.needs_approval
            && self.approval.is_none()
            && self.counts.pending > 0
    }

    /// A sentence that says what is to be approved, who may approve it, and how.
    pub fn approval_wanted(&self) -> String {
        let names: Vec<&str> = self.begun_by.iter().map(|one| one.name.as_str()).collect();
        let (begun, who) = if names.is_empty() {
            (String::new(), "a person with the role approver")
        } else {
            (format!(", begun by {}", names.join(", ")), "another person with the role approver")
        };
        format!(
            "{} recipients{begun}; {who} gives it on the page, over the API, or by `mooncast runs approve {} --run {}`",
            self.recipients(),
            self.name,
            self.run
        )
    }

    /// Whether this person began it or changed its plan.
    pub fn is_by(&self, person: &Person) -> bool {
        self.begun_by.iter().any(|one| one.is(person))
    }
}

impl Ledger {
    /// Makes a broadcast wait for an approval, if it has none. Does nothing on a scratch ledger, where no
    /// person can approve.
    pub async fn require_approval(&self, id: BroadcastId) -> Result<(), LedgerError> {
        if !self.store().driver.has_other_processes() {
            return Ok(());
        }
        // A plan that was fixed before there were approvals is known by its own hash.
        let statement =
            sql("UPDATE broadcasts SET needs_approval = 1, approval_hash = coalesce(approval_hash, plan)
                WHERE id = ? AND needs_approval = 0");
        self.change(statement.bind(id.0)).await.map(drop)
    }

    /// Approves the plan of a broadcast. `seen` is the hash that the approver saw; None approves the plan as it is now.
    pub async fn approve(
        &self,
        id: BroadcastId,
        by: &Actor,
        seen: Option<&str>,
        note: Option<&str>,
    ) -> Result<ApprovalResult, LedgerError> {
        let person = Person::of(by);
        self.store()
            .transaction(async |write| {
                let found = match awaited(write, id, seen).await? {
                    Ok(found) if found.is_by(&person) => return Ok(ApprovalResult::OwnPlan(found)),
                    Ok(found) => found,
                    Err(other) => return Ok(other),
                };
                let statement = sql(formatcp!(
                    "UPDATE broadcasts SET approved = approval_hash, approved_by = ?, approved_at = ?, approval_note = ?
                        WHERE id = ? AND approval_hash = ? AND state = {READY} AND {AWAITS}"
                ));
                let statement = statement.bind(line(&person)).bind(write.store.now()).bind(note).bind(id.0);
                if write.run(statement.bind(found.approval_hash.as_deref())).await? == 0 {
                    return Ok(ApprovalResult::NotAwaited(found));
                }
                Ok(ApprovalResult::Done)
            })
            .await
    }

    /// Rejects the plan of a broadcast: requests that it is cancelled, with `note` as the reason, if it waits for an approval
    /// and its plan is the one that was seen.
    pub async fn reject(
        &self,
        id: BroadcastId,
        seen: Option<&str>,
        note: &str,
    ) -> Result<ApprovalResult, LedgerError> {
        self.store()
            .transaction(async |write| {
                if let Err(other) = awaited(write, id, seen).await? {
                    return Ok(other);
                }
                let statement =
                    sql(formatcp!("UPDATE broadcasts SET command = {CANCEL}, command_note = ? WHERE id = ?"));
                write.run(statement.bind(note).bind(id.0)).await?;
                Ok(ApprovalResult::Done)
            })
            .await
    }

    /// Records that the actor of the current act had a hand in a broadcast's plan.
    pub(super) async fn add_hand(&self, id: BroadcastId) -> Result<(), LedgerError> {
        let Some(actor) = PendingAct::actor() else { return Ok(()) };
        let line = line(&Person::of(&actor));
        self.store().transaction(async |write| add_authors(write, id, &[line]).await).await
    }

    /// Returns the persons who requested a run. A scheduled run has none.
    pub async fn requesters(
        &self,
        job: &str,
        scheduled_at: std::time::Duration,
    ) -> Result<Vec<Person>, LedgerError> {
        let question =
            sql("SELECT name, kind FROM run_requesters WHERE job = ? AND scheduled_at = ? ORDER BY name");
        let rows: Vec<(String, String)> =
            self.store().rows_now(question.bind(job).bind(millis(scheduled_at))).await?;
        let person = |(name, kind): (String, String)| {
            let kind = kind.parse().map_err(|error: String| self.store().record(error))?;
            Ok(Person { name, kind })
        };
        rows.into_iter().map(person).collect()
    }

    /// Returns the broadcasts that wait for an approval, the oldest first.
    pub async fn awaiting_approval(&self) -> Result<Vec<Broadcast>, LedgerError> {
        let question = sql(formatcp!(
            "SELECT id FROM broadcasts WHERE state = {READY} AND {AWAITS} AND command <> {CANCEL} ORDER BY id"
        ));
        let ids: Vec<(i64,)> = self.store().rows_now(question).await?;
        self.show_each(ids).await
    }
}

/// Records that the actor of the current act requested a run.
pub(in crate::ledger) async fn add_requester(
    write: &mut Transaction<'_>,
    job: &str,
    scheduled_at: i64,
) -> Result<(), LedgerError> {
    let Some(actor) = PendingAct::actor() else { return Ok(()) };
    let statement = sql(
        "INSERT INTO run_requesters (job, scheduled_at, name, kind) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
    );
    let statement = statement.bind(job).bind(scheduled_at).bind(&actor.name).bind(actor.kind.name());
    write.run(statement).await.map(drop)
}

/// Adds lines to `begun_by`, each once.
pub(super) async fn add_authors(
    write: &mut Transaction<'_>,
    id: BroadcastId,
    lines: &[String],
) -> Result<(), LedgerError> {
    for line in lines {
        let statement = sql("UPDATE broadcasts SET begun_by = begun_by || ?1
            WHERE id = ?2 AND replace(begun_by, ?1, '') = begun_by");
        write.run(statement.bind(line).bind(id.0)).await?;
    }
    Ok(())
}

/// Returns the broadcast if it waits for an approval of the plan that was seen.
async fn awaited(
    write: &mut Transaction<'_>,
    id: BroadcastId,
    seen: Option<&str>,
) -> Result<Result<Broadcast, ApprovalResult>, LedgerError> {
    let lock = sql("UPDATE broadcasts SET approved = approved WHERE id = ?").bind(id.0);
    write.run(lock).await?;
    let text = format!("{} WHERE b.id = ?2", write.store.driver.texts().broadcasts);
    let question = sql(text).bind(write.store.dead_before()).bind(id.0);
    let found: Broadcast = write.row(question).await?.ok_or(LedgerError::Unknown(id))?;
    let is_cancelled = found.command == crate::ledger::BroadcastCommand::Cancel;
    if !found.awaits_approval() || is_cancelled {
        return Ok(Err(ApprovalResult::NotAwaited(found)));
    }
    if seen.is_some() && seen != found.approval_hash.as_deref() {
        return Ok(Err(ApprovalResult::OtherPlan(found)));
    }
    Ok(Ok(found))
}
