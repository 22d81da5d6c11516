//! The live status that drivers report about broadcasts, for display. The status of a driver that ended or died is not
//! returned.

use crate::ledger::sql::sql;
use crate::ledger::{Ledger, LedgerError};

use super::{BroadcastId, Lease};

impl Ledger {
    /// Stores a driver's status of its broadcast, in place of the previous one. Also deletes the status of drivers of
    /// this broadcast that have ended.
    pub async fn write_status(&self, lease: Lease, status: &str) -> Result<(), LedgerError> {
        if !self.store().driver.has_other_processes() {
            return Ok(());
        }
        let insert = sql("INSERT INTO driver_status (broadcast, driver, reported_at, status) VALUES (?, ?, ?, ?)
                ON CONFLICT (broadcast, driver) DO UPDATE SET reported_at = excluded.reported_at, status = excluded.status")
        .bind(lease.broadcast.0)
        .bind(lease.number)
        .bind(self.store().now())
        .bind(status);
        let old = sql(self.store().driver.texts().delete_old_status);
        self.store()
            .transaction(async |write| {
                write.run(insert).await?;
                write.run(old.bind(lease.broadcast.0).bind(lease.number)).await.map(drop)
            })
            .await
    }

    /// Deletes the status of a driver that ends.
    pub async fn forget_status(&self, lease: Lease) -> Result<(), LedgerError> {
        let statement = sql("DELETE FROM driver_status WHERE broadcast = ? AND driver = ?");
        self.change(statement.bind(lease.broadcast.0).bind(lease.number)).await.map(drop)
    }

    /// Returns the latest status of the drivers of unfinished broadcasts: of one broadcast, or of all.
    pub async fn driver_statuses(
        &self,
        id: Option<BroadcastId>,
    ) -> Result<Vec<(BroadcastId, String)>, LedgerError> {
        let question = sql(self.store().driver.texts().driver_statuses);
        let rows: Vec<(i64, String)> = self.store().rows_now(question.bind(id.map(|id| id.0))).await?;
        Ok(rows.into_iter().map(|(id, status)| (BroadcastId(id), status)).collect())
    }
}
