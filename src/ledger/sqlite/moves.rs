//! Moves of a broadcast's recipients in a file.
//!
//! Each statement travels to the connection's thread and back. So all moves of a broadcast are sent as one text of
//! several statements. If the commit contains nothing else, the text also begins and ends the transaction. If a
//! recipient is in another state than expected, a NOT NULL constraint fails and nothing is written.

use std::collections::BTreeMap;

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
        let mut statements = MoveStatements::new(whole);
        for (state, outcomes) in &moves.outcomes {
            statements.settle(write, *state, outcomes)?;
        }
        statements.intend(write, &moves.intents)?;
        let MoveStatements { mut text, next, arguments, due, delta } = statements;
        // The statements themselves reject invalid outcomes; this condition checks the rest.
        let condition = format!("changes() = ?{next} AND lease_number = ?{}", next + 1);
        text += &apply_text(next + 2, &condition, TEXTS.lease_is_held);
        text += if whole { ";COMMIT" } else { "" };

        let mut statement = sql(text).bind(lease.broadcast.0).bind(write.store.now());
        for argument in arguments {
            statement = match argument {
                Argument::Number(number) => statement.bind(number),
                Argument::Text(text) => statement.bind(text),
                Argument::Null => statement.bind(None::<i64>),
            };
        }
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

/// The statements of the moves of one broadcast, as one text.
struct MoveStatements {
    text: String,
    /// The number of the next argument. ?1 is the broadcast and ?2 the current time.
    next: usize,
    arguments: Vec<Argument>,
    /// How many rows the latest statement must change.
    due: usize,
    delta: CountsDelta,
}

enum Argument {
    Number(i64),
    Text(String),
    Null,
}

impl MoveStatements {
    fn new(whole: bool) -> Self {
        let text = if whole { "BEGIN IMMEDIATE;" } else { "" };
        let delta = CountsDelta::default();
        Self { text: text.to_owned(), next: 3, arguments: Vec::new(), due: 0, delta }
    }

    fn add(&mut self, text: &str, arguments: [Argument; 2], rows: usize) {
        self.text += text;
        self.text.push(';');
        self.next += arguments.len();
        self.arguments.extend(arguments);
        self.due = rows;
    }

    /// Adds the outcomes of recipients that are in this state now.
    fn settle(
        &mut self,
        write: &Transaction<'_>,
        state: RecipientState,
        outcomes: &[&RecipientOutcome],
    ) -> Result<(), LedgerError> {
        self.delta.moved(RecipientState::Sending, state, outcomes.len() as u64);
        let (delivered, rest): (Vec<&RecipientOutcome>, Vec<&RecipientOutcome>) = outcomes
            .iter()
            .copied()
            .partition(|outcome| state == RecipientState::Sent && outcome.error.is_none());
        let mut alike: BTreeMap<u32, Vec<&RecipientOutcome>> = BTreeMap::new();
        for outcome in delivered {
            alike.entry(outcome.attempts).or_default().push(outcome);
        }
        for (attempts, outcomes) in alike {
            let rows = json(write, &DeliveredRows(&outcomes))?;
            let arguments = [Argument::Number(attempts.into()), Argument::Text(rows)];
            self.add(&deliver_text(self.next), arguments, outcomes.len());
        }
        if !rest.is_empty() {
            let rows = outcome_rows(write, &rest)?;
            let arguments = [Argument::Number(state.number()), Argument::Text(rows)];
            self.add(&settle_text(self.next, true), arguments, rest.len());
        }
        Ok(())
    }

    /// Adds the intents of recipients, by their sequence numbers.
    fn intend(&mut self, write: &Transaction<'_>, intents: &[i64]) -> Result<(), LedgerError> {
        if intents.is_empty() {
            return Ok(());
        }
        let mut seqs = intents.to_vec();
        seqs.sort_unstable();
        let set = set(write, &seqs)?;
        let text = intend_text(&set, self.next);
        let arguments = match set {
            SeqSet::Range(first, last) => [Argument::Number(first), Argument::Number(last)],
            SeqSet::List(list) => [Argument::Text(list), Argument::Null],
        };
        self.add(&text, arguments, seqs.len());
        self.delta.moved(RecipientState::Pending, RecipientState::Sending, seqs.len() as u64);
        Ok(())
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
