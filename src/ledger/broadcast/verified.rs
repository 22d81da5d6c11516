//! Whether the service has records of the sent messages of a broadcast.

use crate::ledger::sql::sql;
use crate::ledger::store::stored;
use crate::ledger::{Ledger, LedgerError};

use super::BroadcastId;

/// The recipients that one transaction marks. Sends wait for it.
const CHUNK: usize = 5000;

/// What the latest verification showed of a sent message: the numbers of `recipients.verified`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifiedState {
    /// The records were not compared with it.
    Unasked = 0,
    /// The service has a record of it.
    Verified = 1,
    /// The complete history has no record of it.
    Missing = 2,
    /// There was no record of it yet.
    Unknown = 3,
}

impl From<i64> for VerifiedState {
    fn from(number: i64) -> Self {
        match number {
            1 => Self::Verified,
            2 => Self::Missing,
            3 => Self::Unknown,
            _ => Self::Unasked,
        }
    }
}

/// How many sent messages a verification found in each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, sqlx::FromRow)]
pub struct VerifiedCounts {
    #[sqlx(rename = "n_verified", try_from = "i64")]
    pub verified: u64,
    #[sqlx(rename = "n_missing", try_from = "i64")]
    pub missing: u64,
    #[sqlx(rename = "n_unverified", try_from = "i64")]
    pub unknown: u64,
}

impl Ledger {
    /// Records what a verification showed of the recipients with these sequence numbers.
    pub async fn mark_verified(
        &self,
        id: BroadcastId,
        state: VerifiedState,
        seqs: &[i64],
    ) -> Result<(), LedgerError> {
        for chunk in seqs.chunks(CHUNK) {
            let list = serde_json::to_string(chunk).map_err(|error| self.store().record(error))?;
            let statement = sql("UPDATE recipients SET verified = ?1 WHERE broadcast = ?2 AND verified <> ?1
                    AND seq IN (SELECT CAST(atom AS BIGINT) FROM json_each(?3))");
            self.change(statement.bind(state as i64).bind(id.0).bind(list)).await?;
        }
        Ok(())
    }

    /// Adds the result of a verification, as JSON, to the report of a broadcast that has finished. Has no effect on another
    /// broadcast.
    ///
    /// # Errors
    ///
    /// An error if the store fails, or if one of the texts is not JSON.
    pub async fn store_verification(
        &self,
        id: BroadcastId,
        verification: &str,
        counts: VerifiedCounts,
    ) -> Result<(), LedgerError> {
        let unreadable = |error: serde_json::Error| self.store().record(error);
        let verification: serde_json::Value = serde_json::from_str(verification).map_err(unreadable)?;
        self.store()
            .transaction(async |write| {
                let question = sql("SELECT report FROM broadcasts WHERE id = ? AND report IS NOT NULL");
                let Some((report,)) = write.row::<(String,)>(question.bind(id.0)).await? else {
                    return Ok(());
                };
                let mut report: serde_json::Value = serde_json::from_str(&report).map_err(unreadable)?;
                if let Some(report) = report.as_object_mut() {
                    report.insert("verification".to_owned(), verification);
                }
                let statement = sql(
                    "UPDATE broadcasts SET report = ?, n_verified = ?, n_missing = ?, n_unverified = ? WHERE id = ?",
                );
                let statement = [counts.verified, counts.missing, counts.unknown]
                    .into_iter()
                    .fold(statement.bind(report.to_string()), |statement, count| statement.bind(stored(count)));
                write.run(statement.bind(id.0)).await.map(drop)
            })
            .await
    }
}
