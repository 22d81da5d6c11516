//! The audit: what people and machines did, in one chain of hashes.
//!
//! An entry is written in the transaction of the act's first change, or before the act takes effect. So a killed
//! process leaves no act without its entry.

use std::fmt::Display;
use std::time::Duration;

use serde_json::json;

use crate::core::Act;

use super::audit_chain::{AuditEntry, PendingAct};
use super::sql::sql;
use super::store::{Transaction, millis};
use super::{Ledger, LedgerError};

/// How many entries are read at once.
const PAGE: u32 = 1000;

/// How many entries one transaction deletes.
const PRUNED: i64 = 10_000;

/// Which entries of the audit.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Only entries from this instant on.
    pub since: Option<Duration>,
    /// Only entries of this actor.
    pub actor: Option<String>,
    /// Only entries before the one with this number.
    pub before: Option<i64>,
    /// Only entries after the one with this number.
    pub after: Option<i64>,
}

/// The result of a verification of the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditCheck {
    /// The chain is whole from the entry `first` to the newest one, `last`, whose hash is `hash`.
    Whole { first: i64, last: i64, hash: String },
    /// The entry with this number is the first wrong one.
    Wrong { number: i64, why: String },
}

/// The newest entry, and the last deleted one.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
struct AuditHead {
    number: i64,
    hash: String,
    anchor_number: i64,
    anchor_hash: String,
}

impl Ledger {
    /// Carries out an act whose effect is a row of this ledger. Its entry is written in the transaction of its first
    /// change. An act that fails before it changed anything leaves no entry; one that fails later leaves a second entry
    /// with the error.
    ///
    /// # Errors
    ///
    /// Those of the act, and those of writing its entry; the act has no effect then.
    pub async fn audited<T, E>(&self, act: Act, doing: impl Future<Output = Result<T, E>>) -> Result<T, E>
    where
        E: From<LedgerError> + Display,
    {
        let pending = PendingAct::new(act);
        let done = pending.scope(doing).await;
        match (&done, pending.number()) {
            (Ok(_), None) => {
                self.append_audit(&pending.act).await?;
            }
            (Err(error), Some(number)) => self.audit_failure(&pending.act, number, error).await,
            _ => {}
        }
        done
    }

    /// Carries out an act whose effect is outside of this ledger: its entry is written first.
    ///
    /// # Errors
    ///
    /// Those of the act, and those of writing its entry; the act is not begun then.
    pub async fn audited_first<T, E>(
        &self,
        act: Act,
        doing: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E>
    where
        E: From<LedgerError> + Display,
    {
        let number = self.append_audit(&act).await?;
        let done = doing.await;
        if let Err(error) = &done {
            self.audit_failure(&act, number, error).await;
        }
        done
    }

    /// Writes an entry for an act. Returns its number.
    pub async fn append_audit(&self, act: &Act) -> Result<i64, LedgerError> {
        self.store().transaction(async |write| write.append_audit(act).await).await
    }

    /// Writes that an act failed after its entry `number` was written.
    async fn audit_failure(&self, act: &Act, number: i64, error: &impl Display) {
        let act = act.clone().with(json!({ "entry": number, "failed": error.to_string() }));
        if let Err(error) = self.append_audit(&act).await {
            tracing::warn!("the audit does not say that the act of its entry {number} failed: {error}");
        }
    }

    /// Returns entries, the newest first, or, if `filter.after` is given, the oldest first.
    pub async fn audit(&self, filter: &AuditFilter, limit: u32) -> Result<Vec<AuditEntry>, LedgerError> {
        let order = if filter.after.is_some() { "number" } else { "number DESC" };
        let question = sql(format!(
            "SELECT {} FROM audit WHERE number < ?1 AND number > ?2 AND at >= ?3 AND (?4 = '' OR actor = ?4)
            ORDER BY {order} LIMIT ?5",
            AuditEntry::columns()
        ));
        let question =
            question.bind(filter.before.unwrap_or(i64::MAX)).bind(filter.after.unwrap_or(i64::MIN));
        let question = question.bind(filter.since.map(millis).unwrap_or_default());
        let actor = filter.actor.as_deref().unwrap_or_default();
        self.store().rows_now(question.bind(actor).bind(i64::from(limit))).await
    }

    /// Verifies the chain: that no entry was changed or removed since it was written. Entries that were deleted because
    /// of their age are not missing.
    pub async fn verify_audit(&self) -> Result<AuditCheck, LedgerError> {
        loop {
            let question = sql("SELECT max(number) FROM audit");
            let newest: Option<(Option<i64>,)> = self.store().row_now(question).await?;
            // The head is read after the entries, so it is never behind them.
            let head = self.audit_head().await?;
            let mut check = self.verify_after(head.as_ref()).await?;
            if let (AuditCheck::Whole { last, .. }, Some((Some(newest),))) = (&check, newest)
                && newest > *last
            {
                let why = "it is newer than the newest entry that was written".to_owned();
                check = AuditCheck::Wrong { number: last + 1, why };
            }
            let now = self.audit_head().await?;
            let anchor = |head: &Option<AuditHead>| head.as_ref().map(|head| head.anchor_number);
            // Meanwhile the daemon may have deleted old entries.
            if matches!(check, AuditCheck::Whole { .. }) || anchor(&head) == anchor(&now) {
                return Ok(check);
            }
        }
    }

    async fn verify_after(&self, head: Option<&AuditHead>) -> Result<AuditCheck, LedgerError> {
        let wrong = |number: i64, why: &str| Ok(AuditCheck::Wrong { number, why: why.to_owned() });
        let Some(AuditHead { number: last, hash: newest, anchor_number, anchor_hash }) = head else {
            let question = sql("SELECT min(number) FROM audit");
            let first: Option<(Option<i64>,)> = self.store().row_now(question).await?;
            return match first.and_then(|(first,)| first) {
                Some(first) => wrong(first, "the record of the newest entry is missing"),
                None => Ok(AuditCheck::Whole { first: 0, last: 0, hash: String::new() }),
            };
        };
        let question = sql("SELECT min(number) FROM audit");
        let first: Option<(Option<i64>,)> = self.store().row_now(question).await?;
        if let Some((Some(first),)) = first
            && first <= *anchor_number
        {
            return wrong(first, "it is older than the oldest entry that is kept");
        }
        let (mut number, mut hash) = (*anchor_number, anchor_hash.clone());
        while number < *last {
            let question = sql(format!(
                "SELECT {} FROM audit WHERE number > ? AND number <= ? ORDER BY number LIMIT ?",
                AuditEntry::columns()
            ));
            let question = question.bind(number).bind(*last).bind(i64::from(PAGE));
            let page: Vec<AuditEntry> = self.store().rows_now(question).await?;
            if page.is_empty() {
                return wrong(number + 1, "it is missing");
            }
            for entry in page {
                if entry.number != number + 1 {
                    return wrong(number + 1, "it is missing");
                }
                if entry.previous != hash {
                    return wrong(entry.number, "it does not follow from the entry before it");
                }
                if entry.hash != entry.computed_hash() {
                    return wrong(entry.number, "it was changed");
                }
                (number, hash) = (entry.number, entry.hash);
            }
        }
        if hash != *newest || number != *last {
            return wrong(number, "it is not the newest entry that was written");
        }
        Ok(AuditCheck::Whole { first: anchor_number + 1, last: *last, hash })
    }

    async fn audit_head(&self) -> Result<Option<AuditHead>, LedgerError> {
        let question = sql("SELECT number, hash, anchor_number, anchor_hash FROM audit_head WHERE id = 1");
        self.store().row_now(question).await
    }

    /// Deletes the entries before the first one that is not older than `time`, and records the last of them as the
    /// anchor of the chain. Returns how many.
    pub async fn prune_audit(&self, time: Duration) -> Result<u64, LedgerError> {
        let old = sql("SELECT number FROM audit WHERE at < ? LIMIT 1").bind(millis(time));
        let old: Option<(i64,)> = self.store().row(old).await?;
        if old.is_none() {
            return Ok(0);
        }
        // What was changed must stay to be seen.
        if let AuditCheck::Wrong { number, why } = self.verify_audit().await? {
            tracing::error!(
                "old entries of the audit are kept, because entry {number} is wrong: {why}; `mooncast audit verify` checks it"
            );
            return Ok(0);
        }
        let mut pruned = 0;
        loop {
            let some = self.store().transaction(async |write| prune(write, millis(time)).await).await?;
            pruned += some;
            if some < PRUNED.unsigned_abs() {
                return Ok(pruned);
            }
        }
    }
}

async fn prune(write: &mut Transaction<'_>, before: i64) -> Result<u64, LedgerError> {
    // The oldest of the entries that stay. The clock may have been set back between entries.
    let question = sql("SELECT min(number) FROM audit WHERE at >= ?").bind(before);
    let kept: Option<(Option<i64>,)> = write.row(question).await?;
    let kept = kept.and_then(|(kept,)| kept).unwrap_or(i64::MAX);
    let question = sql("SELECT number, hash FROM audit WHERE number < ?1 AND number <=
        (SELECT anchor_number + ?2 FROM audit_head WHERE id = 1) ORDER BY number DESC LIMIT 1");
    let last: Option<(i64, String)> = write.row(question.bind(kept).bind(PRUNED)).await?;
    let Some((number, hash)) = last else { return Ok(0) };
    let anchor = sql("UPDATE audit_head SET anchor_number = ?, anchor_hash = ? WHERE id = 1");
    write.run(anchor.bind(number).bind(hash)).await?;
    write.run(sql("DELETE FROM audit WHERE number <= ?").bind(number)).await
}
