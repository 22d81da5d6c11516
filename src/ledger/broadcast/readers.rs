//! How many members have read the messages of a broadcast.

use std::time::Duration;

use crate::ledger::columns::Millis;
use crate::ledger::sql::sql;
use crate::ledger::store::millis;
use crate::ledger::{Ledger, LedgerError};

use super::BroadcastId;

/// The receipts of a broadcast, with their delay after the message. Most apps have no receipts at all; then no recipient is
/// looked at.
const RECEIPTS: &str = "SELECT c.message_id, c.at - r.updated_at AS delay FROM broadcasts b
    CROSS JOIN recipients r ON r.broadcast = b.id AND r.message_id IS NOT NULL
    CROSS JOIN read_receipts c ON c.app = b.app AND c.message_id = r.message_id
    WHERE b.id = ?1 AND EXISTS (SELECT 1 FROM read_receipts k WHERE k.app = b.app)";

/// The readers of a broadcast, by the service's read receipts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, sqlx::FromRow)]
pub struct ReaderCounts {
    /// Members that have read a message. A member counts once for each message.
    #[sqlx(try_from = "i64")]
    pub readers: u64,
    /// Messages that at least one member has read.
    #[sqlx(try_from = "i64")]
    pub read: u64,
}

/// The readers within a time after each message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct ReadersWithin {
    #[sqlx(try_from = "Millis")]
    pub within: Duration,
    #[sqlx(flatten)]
    pub counts: ReaderCounts,
}

impl Ledger {
    /// Returns how many members have read the messages of a broadcast.
    pub async fn readers(&self, id: BroadcastId) -> Result<ReaderCounts, LedgerError> {
        let question = sql(format!(
            "SELECT count(*) AS readers, count(DISTINCT message_id) AS read FROM ({RECEIPTS}) k"
        ));
        Ok(self.store().row(question.bind(id.0)).await?.unwrap_or_default())
    }

    /// Returns the readers within each of some times after each message. A time without readers is left out.
    pub async fn readers_within(
        &self,
        id: BroadcastId,
        times: &[Duration],
    ) -> Result<Vec<ReadersWithin>, LedgerError> {
        let times: Vec<i64> = times.iter().copied().map(millis).collect();
        let list = serde_json::to_string(&times).map_err(|error| self.store().record(error))?;
        let question = sql(format!(
            "SELECT CAST(t.atom AS BIGINT) AS within, count(*) AS readers, count(DISTINCT message_id) AS read
                FROM json_each(?2) t JOIN ({RECEIPTS}) k ON k.delay <= CAST(t.atom AS BIGINT)
                GROUP BY t.atom ORDER BY 1"
        ));
        self.store().rows(question.bind(id.0).bind(list)).await
    }
}
