//! Broadcasts whose inputs changed. Such a broadcast is paused until an operator decides how it continues.

use const_format::formatcp;

use crate::core::GroupFindings;
use crate::ledger::instance::lives;
use crate::ledger::sql::sql;
use crate::ledger::state::command::{PAUSE, RUN};
use crate::ledger::store::Transaction;
use crate::ledger::{BroadcastCommand, Instance, Ledger, LedgerError};

use super::{Broadcast, BroadcastChanges, BroadcastId, CHANGED, OperatorDecision, StoredSpec};

impl Broadcast {
    /// Whether the broadcast is paused because its inputs changed.
    pub fn is_held_for_changes(&self) -> bool {
        self.command == BroadcastCommand::Pause
            && self.command_note.as_deref().is_some_and(|note| note.starts_with(CHANGED))
    }
}

impl Broadcast {
    /// Returns what changed, if the broadcast is paused and that is known. It does not matter who paused it.
    pub fn shown_changes(&self) -> Option<BroadcastChanges> {
        let paused = !self.is_over() && self.command == BroadcastCommand::Pause;
        let known = self.spec.changes.clone().filter(|_| paused);
        known.or_else(|| self.is_held_for_changes().then(BroadcastChanges::default))
    }
}

impl Ledger {
    /// Pauses a broadcast because its inputs changed, and stores what changed. A pause or a cancel that a person
    /// requested stays in effect. `note` begins with [`CHANGED`].
    pub async fn hold_for_changes(
        &self,
        id: BroadcastId,
        note: &str,
        changes: BroadcastChanges,
    ) -> Result<(), LedgerError> {
        self.store()
            .transaction(async |write| {
                amend(write, id, |spec| spec.changes = Some(changes)).await?;
                let statement = sql(formatcp!(
                    "UPDATE broadcasts SET command = {PAUSE}, command_note = ?
                    WHERE id = ? AND (command = {RUN} OR (command = {PAUSE} AND command_note LIKE ?))"
                ));
                write.run(statement.bind(note).bind(id.0).bind(format!("{CHANGED}%"))).await.map(drop)
            })
            .await
    }

    /// Stores an operator's decision about changed inputs; `None` removes it. This does not end the pause.
    pub async fn decide(
        &self,
        id: BroadcastId,
        decision: Option<OperatorDecision>,
    ) -> Result<(), LedgerError> {
        if decision == Some(OperatorDecision::Replan) {
            self.add_hand(id).await?;
        }
        self.amend_spec(id, |spec| {
            spec.decision = decision;
            if decision == Some(OperatorDecision::Continue) {
                spec.changes = None;
            }
        })
        .await
    }

    /// Deletes the recorded changes of a broadcast's inputs, because the broadcast continues.
    pub async fn forget_changes(&self, id: BroadcastId) -> Result<(), LedgerError> {
        self.amend_spec(id, |spec| spec.changes = None).await
    }

    /// Stores what a lookup of the groups found.
    pub async fn keep_findings(&self, id: BroadcastId, found: GroupFindings) -> Result<(), LedgerError> {
        self.amend_spec(id, |spec| spec.targets = Some(Box::new(found))).await
    }

    /// Records that this instance has compared the inputs of a broadcast and found no change.
    pub async fn inputs_compared(&self, id: BroadcastId, instance: &Instance) -> Result<(), LedgerError> {
        let number = instance.id();
        self.amend_spec(id, |spec| {
            spec.compared_by = Some(number);
            spec.changes = None;
        })
        .await
    }

    /// Returns whether the instance with this number is alive.
    pub async fn instance_is_alive(&self, number: i64) -> Result<bool, LedgerError> {
        self.store().transaction(async |write| lives(write, number).await).await
    }

    async fn amend_spec(
        &self,
        id: BroadcastId,
        change: impl FnOnce(&mut StoredSpec),
    ) -> Result<(), LedgerError> {
        self.store().transaction(async |write| amend(write, id, change).await).await
    }
}

async fn amend(
    write: &mut Transaction<'_>,
    id: BroadcastId,
    change: impl FnOnce(&mut StoredSpec),
) -> Result<(), LedgerError> {
    let row: Option<(String,)> =
        write.row(sql("SELECT spec FROM broadcasts WHERE id = ?").bind(id.0)).await?;
    let (json,) = row.ok_or(LedgerError::Unknown(id))?;
    let mut spec: StoredSpec = serde_json::from_str(&json).map_err(|error| write.store.record(error))?;
    change(&mut spec);
    let json = serde_json::to_string(&spec).map_err(|error| write.store.record(error))?;
    write.run(sql("UPDATE broadcasts SET spec = ? WHERE id = ?").bind(json).bind(id.0)).await.map(drop)
}
