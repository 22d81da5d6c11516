//! The totals of broadcasts and their recipients.

use crate::core::BroadcastStatus;
use crate::ledger::sql::sql;

use crate::ledger::{BroadcastCommand, BroadcastStage, Ledger, LedgerError, RecipientCounts, VerifiedCounts};

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
    /// The sum of the results of their verifications.
    pub verified: VerifiedCounts,
}

impl Ledger {
    /// Returns the totals of broadcasts by app and state.
    pub async fn standings(&self) -> Result<Vec<BroadcastTotals>, LedgerError> {
        let question = sql(
            "SELECT a.key, b.state, b.command, count(*) AS broadcasts, CAST(sum(n_pending) AS BIGINT) AS n_pending,
                    CAST(sum(n_sending) AS BIGINT) AS n_sending, CAST(sum(n_sent) AS BIGINT) AS n_sent,
                    CAST(sum(n_rejected) AS BIGINT) AS n_rejected, CAST(sum(n_in_doubt) AS BIGINT) AS n_in_doubt,
                    CAST(sum(n_skipped) AS BIGINT) AS n_skipped, CAST(sum(n_cancelled) AS BIGINT) AS n_cancelled,
                    CAST(coalesce(sum(n_verified), 0) AS BIGINT) AS n_verified,
                    CAST(coalesce(sum(n_missing), 0) AS BIGINT) AS n_missing,
                    CAST(coalesce(sum(n_unverified), 0) AS BIGINT) AS n_unverified
                FROM broadcasts b JOIN apps a ON a.id = b.app WHERE NOT b.draft GROUP BY a.key, b.state, b.command",
        );
        let rows: Vec<TotalsRow> = self.store().rows(question).await?;
        let total = |row: TotalsRow| BroadcastTotals {
            app_key: row.key,
            state: row.state.status(row.command),
            over: row.state.is_over(),
            broadcasts: row.broadcasts,
            recipients: row.recipients,
            verified: row.verified,
        };
        Ok(rows.into_iter().map(total).collect())
    }
}

#[derive(sqlx::FromRow)]
struct TotalsRow {
    key: String,
    state: BroadcastStage,
    command: BroadcastCommand,
    #[sqlx(try_from = "i64")]
    broadcasts: u64,
    #[sqlx(flatten)]
    recipients: RecipientCounts,
    #[sqlx(flatten)]
    verified: VerifiedCounts,
}
