//! The suppression list: groups, users and rooms of an app to which nothing is sent.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;

use super::sql::sql;
use super::store::{Transaction, from_millis, millis};
use super::{AppId, Ledger, LedgerError};
use crate::core::SuppressedKind;

/// How many entries one write adds or removes.
const CHUNK: usize = 2_000;

/// An entry of the suppression list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suppression {
    /// The app's key: address, org and name.
    pub app_key: String,
    pub kind: SuppressedKind,
    pub id: String,
    pub reason: Option<String>,
    /// Who added it.
    pub actor: String,
    /// When it was added, since 1970.
    pub added_at: Duration,
    /// When it ends, since 1970. `None` if it has no end.
    pub expires_at: Option<Duration>,
}

/// Entries that are added together.
#[derive(Debug, Clone)]
pub struct NewSuppressions<'a> {
    pub app: AppId,
    pub kind: SuppressedKind,
    /// The ids, each with a reason of its own, or `None` for `reason`.
    pub ids: &'a [(String, Option<String>)],
    pub reason: Option<&'a str>,
    pub actor: &'a str,
    /// How long they stay on the list. `None` for no end.
    pub expires: Option<Duration>,
}

/// Which entries to list.
#[derive(Debug, Clone, Default)]
pub struct SuppressionFilter<'a> {
    /// Only those of the app with this key.
    pub app_key: Option<&'a str>,
    pub kind: Option<SuppressedKind>,
    /// Only those with this id.
    pub id: Option<&'a str>,
    /// Only those after this entry: its app's key, kind and id.
    pub after: Option<(&'a str, SuppressedKind, &'a str)>,
    /// The most entries.
    pub limit: u32,
}

#[derive(sqlx::FromRow)]
struct SuppressionRow {
    app_key: String,
    kind: String,
    id: String,
    reason: Option<String>,
    actor: String,
    added_at: i64,
    expires_at: Option<i64>,
}

impl Ledger {
    /// Adds entries, or extends those that the list has: of two ends the later one stays. Either all are added or none;
    /// returns how many different ones they are. A call repeated after an error has the effect of one.
    pub async fn suppress(&self, new: NewSuppressions<'_>) -> Result<u64, LedgerError> {
        let mut ids: BTreeMap<Cow<'_, str>, Option<&str>> = BTreeMap::new();
        for (id, reason) in new.ids {
            let known = ids.entry(new.kind.spelled(id)).or_default();
            *known = reason.as_deref().or(*known);
        }
        let ids: Vec<_> = ids.into_iter().collect();
        self.store().transaction(async |write| add(write, &new, &ids).await).await?;
        self.0.suppressed.fetch_add(1, Ordering::Relaxed);
        Ok(ids.len() as u64)
    }

    /// Removes entries; returns how many there were.
    pub async fn unsuppress(
        &self,
        app: AppId,
        kind: SuppressedKind,
        ids: &[String],
    ) -> Result<u64, LedgerError> {
        let ids: Vec<_> = ids.iter().map(|id| kind.spelled(id)).collect();
        self.store().transaction(async |write| remove(write, app, kind, &ids).await).await
    }

    /// Returns entries in the order of app, kind and id. Entries that have ended are left out.
    pub async fn suppressions(
        &self,
        filter: &SuppressionFilter<'_>,
    ) -> Result<Vec<Suppression>, LedgerError> {
        let by_bytes = self.store().driver.texts().by_bytes;
        let question = sql(format!(
            "SELECT a.key AS app_key, s.kind, s.id, s.reason, s.actor, s.added_at, s.expires_at
                FROM suppressions s JOIN apps a ON a.id = s.app
                WHERE (s.expires_at IS NULL OR s.expires_at > ?1) AND (?2 IS NULL OR a.key = ?2)
                AND (?3 IS NULL OR s.kind = ?3)
                AND (?4 IS NULL OR s.id = ?4 OR (s.kind = 'user' AND s.id = lower(CAST(?4 AS TEXT))))
                AND (?5 IS NULL OR (a.key{by_bytes}, s.kind, s.id) > (?5, ?6, ?7))
                ORDER BY a.key{by_bytes}, s.kind, s.id LIMIT ?8"
        ))
        .bind(self.store().now())
        .bind(filter.app_key)
        .bind(filter.kind.map(SuppressedKind::name))
        .bind(filter.id)
        .bind(filter.after.map(|(app, ..)| app))
        .bind(filter.after.map(|(_, kind, _)| kind.name()))
        .bind(filter.after.map(|(.., id)| id))
        .bind(filter.limit);
        let rows: Vec<SuppressionRow> = self.store().rows_now(question).await?;
        rows.into_iter().map(|row| self.suppression(row)).collect()
    }

    /// Returns the entries for these ids of an app, which are spelled as the list spells them.
    pub(super) async fn entries(
        &self,
        app: AppId,
        kind: SuppressedKind,
        ids: &BTreeSet<&str>,
    ) -> Result<Vec<Suppression>, LedgerError> {
        let question =
            sql("SELECT a.key AS app_key, s.kind, s.id, s.reason, s.actor, s.added_at, s.expires_at
                FROM suppressions s JOIN apps a ON a.id = s.app
                WHERE s.app = ? AND s.kind = ? AND s.id IN (SELECT atom FROM json_each(?))
                AND (s.expires_at IS NULL OR s.expires_at > ?) ORDER BY s.id");
        let question = question.bind(app.0).bind(kind.name()).bind(json!(ids).to_string());
        let rows: Vec<SuppressionRow> = self.store().rows_now(question.bind(self.store().now())).await?;
        rows.into_iter().map(|row| self.suppression(row)).collect()
    }

    /// How many times this process added to the list. A driver reads the list again when the number has changed.
    pub fn suppression_writes(&self) -> u64 {
        self.0.suppressed.load(Ordering::Relaxed)
    }

    fn suppression(&self, row: SuppressionRow) -> Result<Suppression, LedgerError> {
        let SuppressionRow { app_key, kind, id, reason, actor, added_at, expires_at } = row;
        Ok(Suppression {
            app_key,
            kind: kind.parse().map_err(|error: String| self.store().record(error))?,
            id,
            reason,
            actor,
            added_at: from_millis(added_at),
            expires_at: expires_at.map(from_millis),
        })
    }
}

impl Suppression {
    /// Why a recipient is left out: `on the suppression list: REASON`. `of` names the entry if it is not the recipient
    /// itself.
    pub fn why(&self, of: &str) -> String {
        let reason = self.reason.as_deref().map_or_else(String::new, |reason| format!(": {reason}"));
        format!("{of}on the suppression list{reason}")
    }
}

async fn add(
    write: &mut Transaction<'_>,
    new: &NewSuppressions<'_>,
    ids: &[(Cow<'_, str>, Option<&str>)],
) -> Result<(), LedgerError> {
    let now = write.store.now();
    for part in ids.chunks(CHUNK) {
        let statement = sql(
            "INSERT INTO suppressions (app, kind, id, reason, actor, added_at, expires_at)
                SELECT CAST(?1 AS BIGINT), CAST(?2 AS TEXT), value ->> 0, coalesce(value ->> 1, CAST(?3 AS TEXT)),
                    CAST(?4 AS TEXT), CAST(?5 AS BIGINT), CAST(?6 AS BIGINT) FROM json_each(?7) WHERE true
                ON CONFLICT (app, kind, id) DO UPDATE SET reason = coalesce(excluded.reason, suppressions.reason),
                    actor = excluded.actor, added_at = excluded.added_at, expires_at = CASE
                        WHEN suppressions.expires_at > excluded.expires_at THEN suppressions.expires_at
                        WHEN suppressions.expires_at IS NULL THEN NULL ELSE excluded.expires_at END",
        )
        .bind(new.app.0)
        .bind(new.kind.name())
        .bind(new.reason)
        .bind(new.actor)
        .bind(now)
        .bind(new.expires.map(|expires| now.saturating_add(millis(expires))))
        .bind(json!(part).to_string());
        write.run(statement).await?;
    }
    Ok(())
}

async fn remove(
    write: &mut Transaction<'_>,
    app: AppId,
    kind: SuppressedKind,
    ids: &[Cow<'_, str>],
) -> Result<u64, LedgerError> {
    let mut removed = 0;
    for part in ids.chunks(CHUNK) {
        let statement = sql(
            "DELETE FROM suppressions WHERE app = ? AND kind = ? AND id IN (SELECT atom FROM json_each(?))",
        );
        let statement = statement.bind(app.0).bind(kind.name()).bind(json!(part).to_string());
        removed += write.run(statement).await?;
    }
    Ok(removed)
}
