//! Edits of single messages by their receipts.

use super::sql::sql;
use super::store::stored;
use super::{AppId, EDITS_A_MESSAGE, Ledger, LedgerError, RecipientState};

/// An edit of one message.
#[derive(Debug, Clone, Copy)]
pub struct NewEdit<'a> {
    pub app: AppId,
    pub message_id: &'a str,
    pub group_id: &'a str,
    /// The edit as JSON.
    pub content: &'a str,
    /// The script, job or command that edits.
    pub origin: &'a str,
}

/// The result of beginning an edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BeginEditResult {
    /// The number of the edit, which is on disk. The request may be sent.
    New(i64),
    /// The message has had ten edits. Edits in doubt count.
    Full,
}

#[derive(sqlx::FromRow)]
struct NumberRow {
    number: i64,
}

impl Ledger {
    /// Records that a message is about to be edited. The same edit in doubt, which a crash left, counts once.
    pub async fn begin_edit(&self, edit: NewEdit<'_>) -> Result<BeginEditResult, LedgerError> {
        let NewEdit { app, message_id, group_id, content, origin } = edit;
        let (sending, sent) = (RecipientState::Sending, RecipientState::Sent);
        self.store()
            .transaction(async |write| {
                let question = sql("SELECT id AS number FROM edits
                    WHERE app = ? AND message_id = ? AND content = ? AND state = ?");
                let question = question.bind(app.0).bind(message_id).bind(content).bind(sending);
                if let Some(NumberRow { number }) = write.row(question).await? {
                    return Ok(BeginEditResult::New(number));
                }
                let question = sql("SELECT (SELECT count(*) FROM edits
                        WHERE app = ?1 AND message_id = ?2 AND state IN (?3, ?4))
                    + (SELECT count(*) FROM recipients r JOIN broadcasts b ON b.id = r.broadcast
                        WHERE r.target = ?2 AND b.app = ?1 AND r.state IN (?3, ?4)) AS number");
                let question = question.bind(app.0).bind(message_id).bind(sending).bind(sent);
                let edits = write.row::<NumberRow>(question).await?.map_or(0, |row| row.number);
                if edits >= stored(EDITS_A_MESSAGE as u64) {
                    return Ok(BeginEditResult::Full);
                }
                let statement = sql(
                    "INSERT INTO edits (app, message_id, group_id, content, origin, state, created_at, updated_at)
                        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7) RETURNING id AS number",
                );
                let statement = statement.bind(app.0).bind(message_id).bind(group_id).bind(content);
                let statement = statement.bind(origin).bind(sending).bind(write.store.now());
                let row = write.row::<NumberRow>(statement).await?;
                let row = row.ok_or_else(|| write.store.record("no number for an edit"))?;
                Ok(BeginEditResult::New(row.number))
            })
            .await
    }

    /// Records the outcome of an edit: made, or refused for this reason.
    pub async fn settle_edit(&self, number: i64, refused: Option<&str>) -> Result<(), LedgerError> {
        let state = if refused.is_some() { RecipientState::Rejected } else { RecipientState::Sent };
        let statement = sql("UPDATE edits SET state = ?, error = ?, updated_at = ? WHERE id = ?");
        let statement = statement.bind(state).bind(refused).bind(self.store().now()).bind(number);
        self.change(statement).await.map(drop)
    }
}
