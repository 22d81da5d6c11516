//! The stored contents of the service's callbacks: records of accepted messages, read receipts, and events
//! that start jobs.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use const_format::formatcp;
use serde_json::json;

use super::columns::OptionalMillis;
use super::events::{NewJobEvent, insert_events};
use super::history::{RecordSource, ServiceRecord, insert_records};
use super::sql::sql;
use super::state::recipient::{IN_DOUBT, SENDING};
use super::store::{Transaction, millis};
use super::{AppId, Ledger, LedgerError};

/// How long callbacks and records of messages are kept. The service posts a callback within a minute, and its history
/// files settle a send within two days.
const KEPT: Duration = Duration::from_hours(8 * 24);

/// How many receipts of unknown messages are kept for an app.
const EARLY: i64 = 2000;

/// A member has read a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadReceipt {
    pub message_id: String,
    pub member: String,
    /// The service's time of the receipt.
    pub at: Duration,
}

/// A callback that concerns this app's messages, or that starts jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCallback {
    /// Its id, unique in the app.
    pub call_id: String,
    /// What it says about this app's messages.
    pub content: Option<CallbackContent>,
    /// The runs that it starts.
    pub events: Vec<NewJobEvent>,
}

/// The result of storing callbacks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoredCallbacks {
    /// Whether each callback was new.
    pub new: Vec<bool>,
    /// How many events of each job were dropped, because too many of them wait.
    pub dropped: BTreeMap<String, u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallbackContent {
    Record(ServiceRecord),
    Receipt(ReadReceipt),
}

/// The callbacks of an app that were stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, sqlx::FromRow)]
pub struct CallbackActivity {
    /// When the latest one arrived. `None` if none is kept.
    #[sqlx(try_from = "OptionalMillis")]
    pub latest: Option<Duration>,
    /// How many arrived in the last hour.
    #[sqlx(try_from = "i64")]
    pub last_hour: u64,
}

impl Ledger {
    /// Stores callbacks in one transaction, each call id once, and requests the runs that they start. A repeated one
    /// changes nothing, whatever its content is. A message keeps its first record.
    pub async fn store_callbacks(
        &self,
        app: AppId,
        callbacks: &[NewCallback],
    ) -> Result<StoredCallbacks, LedgerError> {
        if callbacks.iter().any(|callback| !callback.events.is_empty()) {
            return self
                .store()
                .transaction(async |write| insert_callbacks(write, app, callbacks).await)
                .await;
        }
        // Concurrent writes of other hosts cannot change the result, so they need not be excluded.
        let mut write = self.store().write_group(false).await?;
        let result = insert_callbacks(&mut write, app, callbacks).await;
        write.end(result).await
    }

    /// Returns which of these messages were sent by a broadcast of this ledger, or are in the service's records.
    pub async fn recorded_messages(
        &self,
        app: AppId,
        messages: &[&str],
    ) -> Result<HashSet<String>, LedgerError> {
        let question = "SELECT message_id FROM service_records
                WHERE app = ?1 AND message_id IN (SELECT atom FROM json_each(?2))
            UNION SELECT r.message_id FROM recipients r JOIN broadcasts b ON b.id = r.broadcast AND b.app = ?1
                WHERE r.message_id IN (SELECT atom FROM json_each(?2))";
        self.known(app, question, messages).await
    }

    /// Whether messages of the app are in flight or in doubt, so that a receipt can be about one whose id is not known yet.
    pub async fn awaits_message_ids(&self, app: AppId) -> Result<bool, LedgerError> {
        let question = sql(formatcp!(
            "SELECT EXISTS (SELECT 1 FROM broadcasts WHERE app = ?1 AND (n_sending > 0 OR n_in_doubt > 0))
                OR EXISTS (SELECT 1 FROM sends WHERE app = ?1 AND state = {SENDING})
                OR EXISTS (SELECT 1 FROM sends WHERE app = ?1 AND state = {IN_DOUBT}) AS awaits"
        ));
        Ok(self.store().row_now::<(bool,)>(question.bind(app.0)).await?.is_some_and(|(awaits,)| awaits))
    }

    /// Returns those of some texts that a query finds. The query takes the app and the texts as a JSON list.
    pub(super) async fn known(
        &self,
        app: AppId,
        question: &'static str,
        texts: &[&str],
    ) -> Result<HashSet<String>, LedgerError> {
        if texts.is_empty() {
            return Ok(HashSet::new());
        }
        let question = sql(question).bind(app.0).bind(json!(texts).to_string());
        let rows: Vec<(String,)> = self.store().rows_now(question).await?;
        Ok(rows.into_iter().map(|(text,)| text).collect())
    }

    /// Returns when callbacks of an app arrived.
    pub async fn callback_activity(&self, app: AppId) -> Result<CallbackActivity, LedgerError> {
        let hour_ago = self.store().now() - millis(Duration::from_hours(1));
        let question = sql(
            "SELECT max(received_at) AS latest, count(*) FILTER (WHERE received_at > ?2) AS last_hour FROM callbacks WHERE app = ?1",
        );
        Ok(self.store().row_now(question.bind(app.0).bind(hour_ago)).await?.unwrap_or_default())
    }

    /// Deletes callbacks and records of messages that were stored more than 8 days ago.
    pub async fn prune_callbacks(&self) -> Result<(), LedgerError> {
        let before = self.store().now() - millis(KEPT);
        for statement in
            ["DELETE FROM callbacks WHERE received_at < ?", "DELETE FROM service_records WHERE stored_at < ?"]
        {
            self.change(sql(statement).bind(before)).await?;
        }
        Ok(())
    }
}

async fn insert_callbacks(
    write: &mut Transaction<'_>,
    app: AppId,
    callbacks: &[NewCallback],
) -> Result<StoredCallbacks, LedgerError> {
    let ids: Vec<&str> = callbacks.iter().map(|callback| callback.call_id.as_str()).collect();
    let statement = sql(
        "INSERT INTO callbacks (app, call_id, received_at) SELECT DISTINCT CAST(?1 AS BIGINT), atom, CAST(?3 AS BIGINT)
            FROM json_each(?2) WHERE true ON CONFLICT DO NOTHING RETURNING call_id",
    );
    let statement = statement.bind(app.0).bind(json!(ids).to_string()).bind(write.store.now());
    let inserted: Vec<(String,)> = write.rows(statement).await?;
    let mut fresh: HashSet<String> = inserted.into_iter().map(|(id,)| id).collect();
    // Of several with the same id, the first one is new.
    let new: Vec<bool> = ids.iter().map(|id| fresh.remove(*id)).collect();
    let (mut records, mut receipts, mut events) = (Vec::new(), Vec::new(), Vec::new());
    for (callback, _) in callbacks.iter().zip(&new).filter(|(_, new)| **new) {
        match &callback.content {
            Some(CallbackContent::Record(record)) => records.push(record),
            Some(CallbackContent::Receipt(receipt)) => receipts.push(receipt),
            None => {}
        }
        events.extend(&callback.events);
    }
    insert_records(write, app, RecordSource::Callback, &records).await?;
    insert_receipts(write, app, &receipts).await?;
    let dropped = insert_events(write, &events).await?;
    Ok(StoredCallbacks { new, dropped })
}

async fn insert_receipts(
    write: &mut Transaction<'_>,
    app: AppId,
    receipts: &[&ReadReceipt],
) -> Result<(), LedgerError> {
    if receipts.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = receipts
        .iter()
        .map(|receipt| json!([receipt.message_id, receipt.member, millis(receipt.at)]))
        .collect();
    let statement = sql("INSERT INTO read_receipts (app, message_id, member, at, early_at)
            SELECT CAST(?1 AS BIGINT), value ->> 0, value ->> 1, CAST(value ->> 2 AS BIGINT),
                CASE WHEN NOT EXISTS (SELECT 1 FROM recipients r WHERE r.message_id = value ->> 0)
                    AND NOT EXISTS (SELECT 1 FROM service_records c WHERE c.app = ?1 AND c.message_id = value ->> 0)
                    THEN CAST(?3 AS BIGINT) END
            FROM json_each(?2) WHERE true ON CONFLICT DO NOTHING");
    write.run(statement.bind(app.0).bind(json!(rows).to_string()).bind(write.store.now())).await?;
    limit_early_receipts(write, app).await
}

/// Keeps the newest receipts of unknown messages, at most [`EARLY`]. Those whose message is known by now stay.
async fn limit_early_receipts(write: &mut Transaction<'_>, app: AppId) -> Result<(), LedgerError> {
    let question = sql("SELECT early_at FROM read_receipts WHERE app = ? AND early_at IS NOT NULL
        ORDER BY early_at DESC LIMIT 1 OFFSET ?");
    let Some((oldest,)) = write.row::<(i64,)>(question.bind(app.0).bind(EARLY)).await? else { return Ok(()) };
    for statement in [
        "UPDATE read_receipts SET early_at = NULL WHERE app = ? AND early_at <= ?
            AND EXISTS (SELECT 1 FROM recipients r WHERE r.message_id = read_receipts.message_id)",
        "DELETE FROM read_receipts WHERE app = ? AND early_at <= ?",
    ] {
        write.run(sql(statement).bind(app.0).bind(oldest)).await?;
    }
    Ok(())
}
