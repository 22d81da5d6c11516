//! Finds what is stored for an app under another spelling of its address.
//!
//! An app's key is its address, and an address has one spelling (`config::canonical_address`). Older programs stored
//! the address as `mooncast.toml` spelled it, so one app could have several keys, each with a suppression list, caps and
//! broadcasts of its own. Opening the ledger moves all of it to the one key.

use const_format::formatcp;

use super::sql::sql;
use super::state::command::{PAUSE, RUN};
use super::state::recipient::{IN_DOUBT, SENDING, SENT};
use super::state::stage::READY;
use super::store::Transaction;
use super::{Ledger, LedgerError};
use crate::config::canonical_address;

/// Tables whose rows move with their app, and the columns that with it form their key. A row whose place is taken stays
/// where it is.
pub(super) const MOVED: [(&str, &[&str]); 11] = [
    ("uploads", &["content", "options"]),
    ("files", &["url"]),
    ("sends", &[]),
    ("edits", &[]),
    ("activity", &["quota", "at"]),
    ("service_records", &["message_id"]),
    ("callbacks", &["call_id"]),
    ("senders", &["name"]),
    ("announcements", &["scope", "began_at"]),
    ("history_reads", &["hour"]),
    ("read_receipts", &["message_id", "member"]),
];

/// Tables whose rows are moved by statements of their own.
#[cfg(test)]
pub(super) const MOVED_BESIDES: [&str; 2] = ["broadcasts", "suppressions"];

#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
struct AppRow {
    id: i64,
    key: String,
}

impl Ledger {
    /// Gives each app its one key, and moves what other spellings of its address hold.
    pub(super) async fn unify_app_keys(&self) -> Result<(), LedgerError> {
        let apps: Vec<AppRow> = self.store().rows_now(sql("SELECT id, key FROM apps ORDER BY id")).await?;
        if apps.iter().all(|app| canonical_address(&app.key) == app.key) {
            return Ok(());
        }
        let moved = self
            .store()
            .transaction(async |write| {
                // Another process may have done it since.
                let apps: Vec<AppRow> = write.rows(sql("SELECT id, key FROM apps ORDER BY id")).await?;
                let mut moved = Vec::new();
                for app in apps {
                    let key = canonical_address(&app.key);
                    if key != app.key && unify(write, &app, &key).await? {
                        moved.push((app.key, key));
                    }
                }
                Ok(moved)
            })
            .await?;
        for (from, to) in moved {
            tracing::info!(
                from,
                to,
                "an app's address had two spellings; what was stored for one is with the other now"
            );
        }
        Ok(())
    }
}

/// Gives an app its one key. Returns whether something was moved to another row of it.
async fn unify(write: &mut Transaction<'_>, app: &AppRow, key: &str) -> Result<bool, LedgerError> {
    let Some((to,)) = write.row::<(i64,)>(sql("SELECT id FROM apps WHERE key = ?").bind(key)).await? else {
        write.run(sql("UPDATE apps SET key = ? WHERE id = ?").bind(key).bind(app.id)).await?;
        return Ok(false);
    };
    let mut moved = suppressions(write, app.id, to).await? + broadcasts(write, app, to).await?;
    once_keys(write, app.id, to).await?;
    for (table, columns) in MOVED {
        let same: Vec<String> =
            columns.iter().map(|column| format!(" AND o.{column} = {table}.{column}")).collect();
        let same = same.concat();
        let free = if columns.is_empty() {
            String::new()
        } else {
            format!(" AND NOT EXISTS (SELECT 1 FROM {table} o WHERE o.app = ?1{same})")
        };
        let statement = format!("UPDATE {table} SET app = ?1 WHERE app = ?2{free}");
        moved += write.run(sql(statement).bind(to).bind(app.id)).await?;
    }
    Ok(moved > 0)
}

/// Of an entry that both have, the later end stays.
async fn suppressions(write: &mut Transaction<'_>, from: i64, to: i64) -> Result<u64, LedgerError> {
    let same = "o.kind = suppressions.kind AND o.id = suppressions.id";
    let later = format!(
        "UPDATE suppressions SET expires_at =
            (SELECT CASE WHEN o.expires_at > suppressions.expires_at THEN o.expires_at END
                FROM suppressions o WHERE o.app = ?2 AND {same})
            WHERE app = ?1 AND expires_at IS NOT NULL AND EXISTS
            (SELECT 1 FROM suppressions o WHERE o.app = ?2 AND {same}
                AND (o.expires_at IS NULL OR o.expires_at > suppressions.expires_at))"
    );
    let extended = write.run(sql(later).bind(to).bind(from)).await?;
    let double = format!(
        "DELETE FROM suppressions WHERE app = ?2 AND EXISTS
            (SELECT 1 FROM suppressions o WHERE o.app = ?1 AND {same})"
    );
    write.run(sql(double).bind(to).bind(from)).await?;
    let moved = sql("UPDATE suppressions SET app = ?1 WHERE app = ?2").bind(to).bind(from);
    Ok(extended + write.run(moved).await?)
}

/// Moves broadcasts. One that has not finished is paused, because it may be old: a person decides whether its rest is
/// sent. One whose name and run are taken gets another run.
async fn broadcasts(write: &mut Transaction<'_>, app: &AppRow, to: i64) -> Result<u64, LedgerError> {
    let note =
        format!("paused by itself: its app's address was spelled {}; resume it to send the rest", app.key);
    let paused = sql(formatcp!(
        "UPDATE broadcasts SET command = {PAUSE}, command_note = ? WHERE app = ? AND state = {READY} AND command = {RUN}"
    ));
    write.run(paused.bind(note).bind(app.id)).await?;
    let question = sql("SELECT b.id FROM broadcasts b WHERE b.app = ? AND EXISTS
        (SELECT 1 FROM broadcasts o WHERE o.app = ? AND o.name = b.name AND o.run = b.run)");
    let taken: Vec<(i64,)> = write.rows(question.bind(app.id).bind(to)).await?;
    for (id,) in taken {
        let renamed = sql("UPDATE broadcasts SET run = run || ? WHERE id = ?");
        write.run(renamed.bind(format!(" ({}, {id})", app.key)).bind(id)).await?;
    }
    write.run(sql("UPDATE broadcasts SET app = ? WHERE app = ?").bind(to).bind(app.id)).await
}

/// Leaves each `once` key with the one of two sends that may have been delivered.
async fn once_keys(write: &mut Transaction<'_>, from: i64, to: i64) -> Result<(), LedgerError> {
    let other = "EXISTS (SELECT 1 FROM sends o WHERE o.once = sends.once AND o.app =";
    let went = formatcp!("IN ({SENDING}, {SENT}, {IN_DOUBT})");
    let statement = format!(
        "UPDATE sends SET once = NULL WHERE app = ?1 AND once IS NOT NULL AND NOT state {went} AND {other} ?2 AND o.state {went})"
    );
    write.run(sql(statement).bind(to).bind(from)).await?;
    let statement =
        format!("UPDATE sends SET once = NULL WHERE app = ?2 AND once IS NOT NULL AND {other} ?1)");
    write.run(sql(statement).bind(to).bind(from)).await?;
    Ok(())
}
