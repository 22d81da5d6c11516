//! Moves of a broadcast's recipients in a file.
//!
//! Each statement travels to the connection's thread and back. So all moves of a broadcast are sent as one text of
//! several statements. If the commit contains nothing else, the text also begins and ends the transaction. If a
//! recipient is in another state than expected, a NOT NULL constraint fails and nothing is written.

use std::collections::BTreeMap;
use std::fmt::Write;

use async_trait::async_trait;
use serde::{Serialize, Serializer};

use crate::ledger::broadcast::{CountsDelta, Lease, RecipientOutcome, apply_text, bind_apply, json};
use crate::ledger::commit_request::RecipientMoves;
use crate::ledger::driver::MoveDriver;
use crate::ledger::moves::{SeqSet, intend_text, outcome_rows, set, settle_text};
use crate::ledger::sql::sql;
use crate::ledger::state::recipient::{SENDING, SENT};
use crate::ledger::store::{Transaction, stored};
use crate::ledger::{LedgerError, RecipientState};

use super::SqliteFile;
use super::texts::TEXTS;

#[async_trait]
impl<K: Send + Sync> MoveDriver for SqliteFile<K> {
    async fn move_all(
        &self,
        write: &mut Transaction<'_>,
        lease: Lease,
        moves: &RecipientMoves<'_>,
        whole: bool,
    ) -> Result<bool, LedgerError> {
        let mut delta = CountsDelta::default();
        let mut text = String::from(if whole { "BEGIN IMMEDIATE;" } else { "" });
        let mut arguments = Vec::new();
        // ?1 is the broadcast and ?2 the current time; each statement's own arguments follow.
        let mut next = 3;
        // How many rows the latest statement must change.
        let mut due = 0;
        for (state, outcomes) in &moves.outcomes {
            delta.moved(RecipientState::Sending, *state, outcomes.len() as u64);
            let (delivered, rest): (Vec<&RecipientOutcome>, Vec<&RecipientOutcome>) = outcomes
                .iter()
                .copied()
                .partition(|outcome| *state == RecipientState::Sent && outcome.error.is_none());
            let mut alike: BTreeMap<u32, Vec<&RecipientOutcome>> = BTreeMap::new();
            for outcome in delivered {
                alike.entry(outcome.attempts).or_default().push(outcome);
            }
            // Writing to a string cannot fail.
            for (attempts, outcomes) in alike {
                let _ = write!(text, "{};", deliver_text(next));
                next += 2;
                due = outcomes.len();
                arguments.push((i64::from(attempts), json(write, &DeliveredRows(&outcomes))?));
            }
            if !rest.is_empty() {
                let _ = write!(text, "{};", settle_text(next, true));
                next += 2;
                due = rest.len();
                arguments.push((state.number(), outcome_rows(write, &rest)?));
            }
        }
        let mut seqs = moves.intents.clone();
        seqs.sort_unstable();
        let set = if seqs.is_empty() { None } else { Some(set(write, &seqs)?) };
        if let Some(set) = &set {
            let _ = write!(text, "{};", intend_text(set, next));
            next += 2;
            due = seqs.len();
            delta.moved(RecipientState::Pending, RecipientState::Sending, seqs.len() as u64);
        }
        // The statements themselves reject invalid outcomes; this condition checks the rest.
        let condition = format!("changes() = ?{next} AND lease_number = ?{}", next + 1);
        let _ = write!(
            text,
            "{}{}",
            apply_text(next + 2, &condition, TEXTS.lease_is_held),
            if whole { ";COMMIT" } else { "" }
        );

        let mut statement = sql(text).bind(lease.broadcast.0).bind(write.store.now());
        for (number, rows) in arguments {
            statement = statement.bind(number).bind(rows);
        }
        statement = match set {
            Some(SeqSet::Range(first, last)) => statement.bind(first).bind(last),
            Some(SeqSet::List(list)) => statement.bind(list).bind(None::<i64>),
            None => statement,
        };
        statement = statement.bind(stored(due as u64)).bind(lease.number);
        match write.run_all(bind_apply(statement, &delta, None)).await? {
            Some(1) => return Ok(true),
            None if whole => {
                write.run(sql("ROLLBACK")).await?;
            }
            // The caller that began the transaction rolls it back. A broadcast that no longer exists has no recipients
            // either, so nothing was changed.
            _ => {}
        }
        Ok(false)
    }
}

/// As `settle_text`, for outcomes with a message id, which nearly all are: reading their rows takes half the time.
fn deliver_text(next: usize) -> String {
    let (attempts, rows) = (next, next + 1);
    format!(
        "INSERT INTO recipients (broadcast, seq, state, attempts, updated_at, group_id, users, message_id)
            SELECT ?1, CAST(key AS INTEGER), CASE WHEN EXISTS (SELECT 1 FROM recipients
                    WHERE broadcast = ?1 AND seq = CAST(key AS INTEGER) AND state = {SENDING}) THEN {SENT} END,
                ?{attempts}, ?2, '', '', atom FROM json_each(?{rows}) WHERE true
            ON CONFLICT (broadcast, seq) DO UPDATE SET state = {SENT}, attempts = excluded.attempts,
                updated_at = excluded.updated_at, message_id = excluded.message_id, error = NULL"
    )
}

/// Recipients with the ids of their messages as one JSON object: the rows of a statement of [`deliver_text`].
struct DeliveredRows<'a>(&'a [&'a RecipientOutcome]);

impl Serialize for DeliveredRows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|outcome| (outcome.seq, &outcome.message_id)))
    }
}
