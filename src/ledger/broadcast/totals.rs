//! The totals of broadcasts and their recipients.

use crate::core::BroadcastStatus;
use crate::ledger::sql::sql;

use crate::ledger::store::count;
use crate::ledger::{BroadcastCommand, BroadcastStage, Ledger, LedgerError, RecipientCounts};

use super::drive::recipient_counts;

/// The totals of the broadcasts of an app that are in one state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BroadcastTotals {
    /// The app's key: address, org and name.
    pub app_key: String,
    /// Their status, without regard to their drivers.
    pub state: BroadcastStatus,
    /// Whether they have nothing left to send.
    pub over: bool,
    /// The number of broadcasts.
    pub broadcasts: u64,
    /// The sum of their recipients by state.
    pub recipients: RecipientCounts,
}

impl Ledger {
    /// Returns the totals of broadcasts by app and state.
    pub async fn standings(&self) -> Result<Vec<BroadcastTotals>, LedgerError> {
        type Row = (String, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64);
        let question = sql(
            "SELECT a.key, b.state, b.wish, count(*), CAST(sum(n_pending) AS BIGINT), CAST(sum(n_sending) AS BIGINT), CAST(sum(n_sent) AS BIGINT), CAST(sum(n_rejected) AS BIGINT),
                    CAST(sum(n_in_doubt) AS BIGINT), CAST(sum(n_skipped) AS BIGINT), CAST(sum(n_cancelled) AS BIGINT)
                FROM broadcasts b JOIN apps a ON a.id = b.app WHERE NOT b.draft GROUP BY a.key, b.state, b.wish",
        );
        let mut read = self.store().read().await?;
        let rows: Vec<Row> = read.rows(question).await?;
        read.done();
        let standing = |row: Row| {
            let (
                app_key,
                stage,
                wish,
                broadcasts,
                pending,
                sending,
                sent,
                rejected,
                in_doubt,
                skipped,
                cancelled,
            ) = row;
            let stage = BroadcastStage::from_number(stage).map_err(|detail| self.store().record(detail))?;
            let wish = BroadcastCommand::from_number(wish).map_err(|detail| self.store().record(detail))?;
            Ok(BroadcastTotals {
                app_key,
                state: stage.status(wish),
                over: stage.is_over(),
                broadcasts: count(broadcasts),
                recipients: recipient_counts((
                    pending, sending, sent, rejected, in_doubt, skipped, cancelled,
                )),
            })
        };
        rows.into_iter().map(standing).collect()
    }
}
