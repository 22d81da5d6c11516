//! Outcomes of calls whose driver lost its lease before their answers came.

use const_format::formatcp;

use crate::ledger::instance::ENDED_BEFORE;
use crate::ledger::sql::sql;
use crate::ledger::state::recipient::{IN_DOUBT, SENDING};
use crate::ledger::{Ledger, LedgerError, RecipientState};

use super::{BroadcastId, CountsDelta, RecipientOutcome, apply, json};

/// The states of recipients whose try nobody else has settled, and the condition on each. Whoever takes the try over counts it,
/// and so does its outcome.
const UNSETTLED: [(RecipientState, &str); 2] = [
    (
        RecipientState::InDoubt,
        formatcp!(
            "state = {IN_DOUBT} AND error = '{ENDED_BEFORE}' AND attempts = CAST(value ->> 1 AS BIGINT)"
        ),
    ),
    (RecipientState::Sending, formatcp!("state = {SENDING} AND attempts = CAST(value ->> 1 AS BIGINT) - 1")),
];

impl Ledger {
    /// Records which messages were delivered or rejected, after the driver that sent them lost its lease. A recipient that was
    /// settled or tried again since stays as it is. Returns how many recipients were settled.
    pub async fn settle_late(
        &self,
        id: BroadcastId,
        outcomes: &[RecipientOutcome],
    ) -> Result<u64, LedgerError> {
        let mut settled = 0;
        for to in [RecipientState::Sent, RecipientState::Rejected] {
            let rows: Vec<_> = outcomes
                .iter()
                .filter(|outcome| outcome.state == to)
                .map(|one| (one.seq, one.attempts, &one.message_id, &one.error))
                .collect();
            if rows.is_empty() {
                continue;
            }
            settled += self
                .store()
                .transaction(async |write| {
                    let rows = json(write, &rows)?;
                    let mut delta = CountsDelta::default();
                    let mut all = 0;
                    for (from, condition) in UNSETTLED {
                        // As in `moves::settle_text`, an UPDATE with a FROM would read every recipient for each entry of
                        // the list.
                        let statement = sql(format!(
                            "INSERT INTO recipients (broadcast, seq, state, attempts, updated_at, group_id, users, message_id, error)
                                SELECT ?1, CAST(value ->> 0 AS BIGINT), ?2, CAST(value ->> 1 AS BIGINT), ?3, '', '', value ->> 2, value ->> 3
                                    FROM json_each(?4) WHERE EXISTS (SELECT 1 FROM recipients WHERE broadcast = ?1
                                        AND seq = CAST(value ->> 0 AS BIGINT) AND {condition})
                                ON CONFLICT (broadcast, seq) DO UPDATE SET state = excluded.state, attempts = excluded.attempts,
                                    updated_at = excluded.updated_at, message_id = excluded.message_id, error = excluded.error"
                        ));
                        let now = write.store.now();
                        let moved = write.run(statement.bind(id.0).bind(to).bind(now).bind(&rows)).await?;
                        delta.moved(from, to, moved);
                        all += moved;
                    }
                    apply(write, id, None, &delta).await?;
                    Ok(all)
                })
                .await?;
        }
        Ok(settled)
    }
}
