//! The origin of the files in messages, so that they can be uploaded again after the service has deleted them.

use std::time::Duration;

use super::broadcast::holds;
use super::columns::Millis;
use super::sql::sql;
use super::state::recipient::{PENDING, SENDING};
use super::store::millis;
use super::{AppId, BroadcastId, Lease, Ledger, LedgerError};

/// A file at the service, and its origin.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct SentFile {
    /// Its address at the service, as messages contain it.
    pub url: String,
    /// Its path on this machine.
    pub path: String,
    /// SHA-256 of its content, in hexadecimal.
    pub content: String,
    /// The options of its upload, as JSON.
    pub options: String,
    /// Until when it can be used.
    #[sqlx(try_from = "Millis")]
    pub expires_at: Duration,
}

impl Ledger {
    /// Stores the origin of a file at the service. It replaces what was stored for the same address.
    pub async fn file_put(&self, app: AppId, file: &SentFile) -> Result<(), LedgerError> {
        let statement =
            sql("INSERT INTO files (app, url, path, content, options, expires_at) VALUES (?, ?, ?, ?, ?, ?)
                ON CONFLICT (app, url) DO UPDATE SET path = excluded.path")
            .bind(app.0)
            .bind(&file.url)
            .bind(&file.path)
            .bind(&file.content)
            .bind(&file.options)
            .bind(millis(file.expires_at));
        self.change(statement).await.map(drop)
    }

    /// Returns the files that unsent messages of a broadcast refer to. Files of unknown origin are left out.
    pub async fn files_to_send(&self, app: AppId, id: BroadcastId) -> Result<Vec<SentFile>, LedgerError> {
        let urls = self.store().driver.texts().file_urls;
        let question = sql(format!(
            "SELECT DISTINCT f.url, f.path, f.content, f.options, f.expires_at FROM messages m
                JOIN files f ON f.app = ?1 AND f.url IN ({urls})
                WHERE m.broadcast = ?2 AND EXISTS (SELECT 1 FROM files WHERE app = ?1)
                    AND m.id IN (SELECT message FROM recipients WHERE broadcast = ?2 AND state IN ({PENDING}, {SENDING}))
                ORDER BY f.url"
        ));
        self.store().rows(question.bind(app.0).bind(id.0)).await
    }

    /// Replaces the file at `old` by one that was uploaded again, in the messages of a broadcast. The plan's hash does
    /// not change: it stays the hash of the plan as it was fixed.
    pub async fn replace_file(
        &self,
        lease: Lease,
        old: &str,
        url: &str,
        secret: Option<&str>,
    ) -> Result<(), LedgerError> {
        let id = lease.broadcast.0;
        let replaced = self
            .store()
            .transaction(async |write| {
                if !holds(write, lease).await? {
                    return Err(LedgerError::LeaseLost(lease.broadcast));
                }
                for statement in self.store().driver.texts().replace_file {
                    write.run(sql(statement).bind(url).bind(secret).bind(id).bind(old)).await?;
                }
                Ok(())
            })
            .await;
        // Cached messages differ from the ones that are sent from now on.
        drop(self.0.message_cache.take(lease.broadcast));
        replaced
    }
}
