//! Replaces the unsent part of a stored plan by a draft, in one transaction. A process that ends at any point leaves
//! either the stored plan or the new one.

use std::collections::{BTreeSet, HashMap};

use const_format::formatcp;

use crate::core::{SuppressedKind, user_key};
use crate::ledger::sql::sql;
use crate::ledger::state::command::{PAUSE, RUN};
use crate::ledger::state::recipient::{CANCELLED, IN_DOUBT, PENDING, REJECTED, SENT, SKIPPED};
use crate::ledger::state::stage::{FINISHED, READY};
use crate::ledger::store::{Transaction, stored};
use crate::ledger::{BroadcastStage, Ledger, LedgerError, RecipientState};

use super::approval::{ApprovalColumns, add_authors};
use super::build::json;
use super::identity::identity;
use super::{Broadcast, BroadcastId, BroadcastPlan, Lease, StoredSpec, holds};

/// The start of the note of a broadcast that is paused because its inputs changed.
pub const CHANGED: &str = "inputs changed";

/// Ends a pause of that kind, and clears any command of a finished broadcast.
const LIFTED: &str = formatcp!(
    "command = CASE WHEN {IS_LIFTED} THEN {RUN} ELSE command END,
        command_note = CASE WHEN {IS_LIFTED} THEN NULL ELSE command_note END"
);

const IS_LIFTED: &str = formatcp!("state = {FINISHED} OR (command = {PAUSE} AND command_note LIKE ?10)");

const REMOVED: &str = "the new plan does not have it";

/// What the columns of a broadcast hold of its spec.
struct SpecColumns {
    json: String,
    /// The columns that identify its recipients.
    identity: String,
    /// What its recipients are to the suppression list.
    kind: Option<&'static str>,
    overrides: bool,
    tag: Option<String>,
    approval: ApprovalColumns,
}

impl Ledger {
    /// Replaces the unsent part of a broadcast's plan by a draft. Recipients that were sent to or are in doubt stay as
    /// they are; their groups, and the users of targeted messages, are removed from the draft. All other recipients
    /// come from the draft. Unsent recipients that the draft does not have are cancelled. The draft is deleted.
    ///
    /// If the broadcast has finished, recipients that it does not have yet are added, and it becomes ready again.
    /// Rejected recipients also stay as they are then.
    ///
    /// A pause with the note [`CHANGED`] ends. Call [`Ledger::take_over_as`] first: nothing may be in flight. `step`
    /// is called between the steps of the transaction, for crash tests.
    ///
    /// # Errors
    ///
    /// [`LedgerError::LeaseLost`] for either lease. [`LedgerError::NotNow`] if the plan is not fixed, the broadcast is
    /// cancelled, something is in flight, other hosts drive it, or the draft uses another call than the messages that
    /// were sent. An error if the store fails. After an error the stored plan is unchanged.
    pub async fn replan(
        &self,
        lease: Lease,
        draft: Lease,
        plan: &BroadcastPlan,
        spec: &StoredSpec,
        step: &dyn Fn(),
    ) -> Result<Broadcast, LedgerError> {
        let _hold = self.store().clock.hold();
        let was = self.show(lease.broadcast).await?;
        let call_differs = was.spec.call != spec.call;
        let columns = SpecColumns {
            json: serde_json::to_string(spec).map_err(|error| self.store().record(error))?,
            identity: identity(spec.call, ""),
            kind: SuppressedKind::of(spec.call).map(SuppressedKind::name),
            overrides: spec.overrides,
            tag: spec.tag.clone(),
            approval: ApprovalColumns::new(self, plan, spec),
        };
        self.store()
            .transaction(async |write| replan(write, lease, draft, plan, columns, call_differs, step).await)
            .await?;
        drop(self.0.dedups.take(draft));
        drop(self.0.message_cache.take(lease.broadcast));
        self.show(lease.broadcast).await
    }
}

impl Ledger {
    /// Returns whether other hosts drive the broadcast too.
    pub async fn has_other_drivers(&self, lease: Lease) -> Result<bool, LedgerError> {
        self.store()
            .transaction(async |write| self.store().driver.has_other_drivers(write, lease).await)
            .await
    }
}

async fn replan(
    write: &mut Transaction<'_>,
    lease: Lease,
    draft: Lease,
    plan: &BroadcastPlan,
    spec: SpecColumns,
    call_differs: bool,
    step: &dyn Fn(),
) -> Result<(), LedgerError> {
    let (id, new) = (lease.broadcast, draft.broadcast);
    for lease in [lease, draft] {
        // This locks the row, so that no other driver joins meanwhile.
        let lock =
            sql("UPDATE broadcasts SET command_note = command_note WHERE id = ?").bind(lease.broadcast.0);
        if write.run(lock).await? == 0 || !holds(write, lease).await? {
            return Err(LedgerError::LeaseLost(lease.broadcast));
        }
    }
    let has_finished = may_change(write, lease, call_differs).await? == BroadcastStage::Finished;
    step();
    let (sent, unsent) = if has_finished {
        (formatcp!("{SENT}, {REJECTED}, {IN_DOUBT}"), formatcp!("{PENDING}"))
    } else {
        (formatcp!("{SENT}, {IN_DOUBT}"), formatcp!("{PENDING}, {REJECTED}"))
    };
    delete_already_sent(write, id, new, sent, &spec.identity).await?;
    delete_replaced(write, id, new, &spec.identity).await?;
    step();
    let cancelled = sql(format!(
        "UPDATE recipients SET state = {CANCELLED}, error = ?, updated_at = ? WHERE broadcast = ? AND state IN ({unsent})"
    ));
    let now = write.store.now();
    write.run(cancelled.bind(REMOVED).bind(now).bind(id.0)).await?;
    let end = move_draft(write, id, new).await?;
    step();
    store_plan(write, id, plan, &spec, end).await?;
    add_authors(write, id, &spec.approval.begun_by).await?;
    write.store.driver.forget_ranges(write, id).await?;
    delete_draft(write, new).await?;
    step();
    Ok(())
}

/// Deletes the recipients of a plan that a draft replaces: those that have no message and are in both.
async fn delete_replaced(
    write: &mut Transaction<'_>,
    id: BroadcastId,
    new: BroadcastId,
    same: &str,
) -> Result<(), LedgerError> {
    let replaced = sql(format!(
        "DELETE FROM recipients WHERE broadcast = ?1 AND (state = {SKIPPED}
            OR (state IN ({PENDING}, {REJECTED}, {CANCELLED})
                AND ({same}) IN (SELECT {same} FROM recipients WHERE broadcast = ?2)))"
    ));
    write.run(replaced.bind(id.0).bind(new.0)).await.map(drop)
}

/// Copies the recipients, messages and export columns of a draft into a plan, with the next numbers. Returns the last
/// numbers then.
async fn move_draft(
    write: &mut Transaction<'_>,
    id: BroadcastId,
    new: BroadcastId,
) -> Result<PlanEnd, LedgerError> {
    let PlanEnd { seqs, messages } = PlanEnd::of(write, id).await?;
    let added = PlanEnd::of(write, new).await?;
    let moved = sql("INSERT INTO messages (broadcast, id, hash, size, content)
            SELECT ?, id + ?, hash, size, content FROM messages WHERE broadcast = ?");
    write.run(moved.bind(id.0).bind(messages).bind(new.0)).await?;
    let now = write.store.now();
    let moved = sql("INSERT INTO recipients (broadcast, seq, state, updated_at, group_id, users, message, error, target, zone)
            SELECT ?, seq + ?, state, ?, group_id, users, message + ?, error, target, zone FROM recipients WHERE broadcast = ?");
    write.run(moved.bind(id.0).bind(seqs).bind(now).bind(messages).bind(new.0)).await?;
    let moved = sql("INSERT INTO recipient_fields (broadcast, first, last, names, content)
            SELECT ?, first + ?, last + ?, names, content FROM recipient_fields WHERE broadcast = ?");
    write.run(moved.bind(id.0).bind(seqs).bind(seqs).bind(new.0)).await?;
    Ok(PlanEnd { seqs: seqs + added.seqs, messages: messages + added.messages })
}

/// Stores the new plan and its specification, and counts the recipients in each state.
async fn store_plan(
    write: &mut Transaction<'_>,
    id: BroadcastId,
    plan: &BroadcastPlan,
    spec: &SpecColumns,
    end: PlanEnd,
) -> Result<(), LedgerError> {
    let counts = RecipientState::ALL.map(|state| {
        let (name, number) = (state.name(), state.number());
        format!("n_{name} = (SELECT count(*) FROM recipients WHERE broadcast = ?1 AND state = {number})")
    });
    let statement = sql(format!(
        "UPDATE broadcasts SET spec = ?2, plan = ?3, largest = ?4, duplicates = ?5, excluded = ?6, planned_at = ?7,
            next_seq = ?8, next_message = ?9, kind = ?11, overrides = ?12, tag = ?13,
            approved = CASE WHEN approval_hash = ?14 THEN approved END, approval_hash = ?14,
            needs_approval = CASE WHEN needs_approval = 1 THEN 1 ELSE ?15 END,
            ramp_stage = 0, ramp_released = 0, ramp_until = NULL, state = {READY}, {LIFTED}, {} WHERE id = ?1",
        counts.join(", ")
    ));
    let statement = statement.bind(id.0).bind(&spec.json).bind(plan.hash.as_str());
    let statement = statement.bind(stored(plan.largest_message_bytes)).bind(stored(plan.duplicates));
    let statement = statement.bind(stored(plan.excluded)).bind(write.store.now());
    let statement = statement.bind(end.seqs + 1).bind(end.messages + 1);
    let statement =
        statement.bind(format!("{CHANGED}%")).bind(spec.kind).bind(spec.overrides).bind(&spec.tag);
    let statement = statement.bind(&spec.approval.hash).bind(spec.approval.needs);
    write.run(statement).await.map(drop)
}

async fn delete_draft(write: &mut Transaction<'_>, draft: BroadcastId) -> Result<(), LedgerError> {
    write.store.driver.end_drivers(write, Some(draft)).await?;
    for statement in [
        "DELETE FROM recipients WHERE broadcast = ?",
        "DELETE FROM messages WHERE broadcast = ?",
        "DELETE FROM recipient_fields WHERE broadcast = ?",
        "DELETE FROM broadcasts WHERE id = ?",
    ] {
        write.run(sql(statement).bind(draft.0)).await?;
    }
    Ok(())
}

/// The last numbers of a plan's recipients and messages.
#[derive(Clone, Copy, sqlx::FromRow)]
struct PlanEnd {
    seqs: i64,
    messages: i64,
}

impl PlanEnd {
    async fn of(write: &mut Transaction<'_>, id: BroadcastId) -> Result<Self, LedgerError> {
        let question =
            sql("SELECT next_seq - 1 AS seqs, next_message - 1 AS messages FROM broadcasts WHERE id = ?");
        write.row(question.bind(id.0)).await?.ok_or(LedgerError::Unknown(id))
    }
}

/// The progress of a broadcast.
#[derive(sqlx::FromRow)]
struct Progress {
    #[sqlx(rename = "state")]
    stage: BroadcastStage,
    sending: i64,
    /// Sent, or in doubt.
    delivered: i64,
}

/// A recipient of a group's members.
#[derive(sqlx::FromRow)]
struct Members {
    seq: i64,
    group_id: String,
    /// As a JSON list.
    users: String,
}

/// Returns an error if a change could give a recipient two messages; otherwise returns the broadcast's stage.
async fn may_change(
    write: &mut Transaction<'_>,
    lease: Lease,
    call_differs: bool,
) -> Result<BroadcastStage, LedgerError> {
    let id = lease.broadcast;
    let question = sql(
        "SELECT state, n_sending AS sending, n_sent + n_in_doubt AS delivered FROM broadcasts WHERE id = ?",
    );
    let row: Option<Progress> = write.row(question.bind(id.0)).await?;
    let Progress { stage, sending, delivered } = row.ok_or(LedgerError::Unknown(id))?;
    let not_now = |why| Err(LedgerError::NotNow { broadcast: id, is: stage.name(), why });
    if !matches!(stage, BroadcastStage::Ready | BroadcastStage::Finished) {
        return not_now("only a plan that is fixed and not cancelled can be replaced");
    }
    if sending > 0 {
        return not_now("some of its messages are in flight");
    }
    if call_differs && delivered > 0 {
        return not_now(
            "a part of it was sent, and the new plan names members where the stored one names groups, or \
             the other way round; set `run` to a new value",
        );
    }
    if write.store.driver.has_other_drivers(write, lease).await? {
        return not_now("other hosts send it; pause it, and try again");
    }
    Ok(stage)
}

/// Removes from the draft the recipients that the broadcast has in these states: whole groups, and single users of a
/// group.
async fn delete_already_sent(
    write: &mut Transaction<'_>,
    id: BroadcastId,
    new: BroadcastId,
    states: &str,
    same: &str,
) -> Result<(), LedgerError> {
    let same = sql(format!(
        "DELETE FROM recipients WHERE broadcast = ?1 AND ({same}) IN
            (SELECT {same} FROM recipients WHERE broadcast = ?2 AND state IN ({states}))"
    ));
    write.run(same.bind(new.0).bind(id.0)).await?;
    // The users of a group may be divided among recipients in another way than before.
    let have = sql(format!(
        "SELECT seq, group_id, users FROM recipients WHERE broadcast = ?1 AND state IN ({states}) AND users <> ''
            AND group_id IN (SELECT group_id FROM recipients WHERE broadcast = ?2 AND users <> '')"
    ));
    let mut known: HashMap<String, BTreeSet<String>> = HashMap::new();
    for row in write.rows::<Members>(have.bind(id.0).bind(new.0)).await? {
        let users: Vec<String> =
            serde_json::from_str(&row.users).map_err(|error| write.store.record(error))?;
        let keys = users.iter().map(|user| user_key(user).into_owned());
        known.entry(row.group_id).or_default().extend(keys);
    }
    if known.is_empty() {
        return Ok(());
    }
    let rows = sql("SELECT seq, group_id, users FROM recipients WHERE broadcast = ? AND users <> ''
            AND group_id IN (SELECT value ->> 0 FROM json_each(?))");
    let groups_of_one: Vec<[&String; 1]> = known.keys().map(|group| [group]).collect();
    let list = json(write, &groups_of_one)?;
    for Members { seq, group_id, users } in write.rows(rows.bind(new.0).bind(list)).await? {
        let all: Vec<String> = serde_json::from_str(&users).map_err(|error| write.store.record(error))?;
        let have = known.get(&group_id);
        let left: Vec<&String> =
            all.iter().filter(|user| !have.is_some_and(|have| have.contains(&*user_key(user)))).collect();
        if left.len() == all.len() {
            continue;
        }
        let statement = if left.is_empty() {
            sql("DELETE FROM recipients WHERE broadcast = ? AND seq = ?").bind(new.0).bind(seq)
        } else {
            let left = json(write, &left)?;
            sql("UPDATE recipients SET users = ? WHERE broadcast = ? AND seq = ?")
                .bind(left)
                .bind(new.0)
                .bind(seq)
        };
        write.run(statement).await?;
    }
    Ok(())
}
