//! Files that the service already has, so that the same content is not uploaded again.

use std::time::Duration;

use super::sql::sql;
use super::store::{from_millis, millis};
use super::{AppId, Ledger, LedgerError};

impl Ledger {
    /// Returns the result of an upload of this content (SHA-256 in hexadecimal) with these options, as JSON, and when
    /// it expires. `None` if there is none or it has expired.
    pub async fn upload_find(
        &self,
        app: AppId,
        content: &str,
        options: &str,
    ) -> Result<Option<(String, Duration)>, LedgerError> {
        let question = sql(
            "SELECT file, expires_at FROM uploads WHERE app = ? AND content = ? AND options = ? AND expires_at > ?",
        );
        let question = question.bind(app.0).bind(content).bind(options).bind(self.store().now());
        let found: Option<(String, i64)> = self.store().row(question).await?;
        Ok(found.map(|(file, expires_at)| (file, from_millis(expires_at))))
    }

    /// Stores the result of an upload until `expires_at`. The caller chooses a time some margin before the service
    /// deletes the file.
    pub async fn upload_put(
        &self,
        app: AppId,
        content: &str,
        options: &str,
        file: &str,
        expires_at: Duration,
    ) -> Result<(), LedgerError> {
        let statement = sql(
            "INSERT INTO uploads (app, content, options, file, uploaded_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)
                ON CONFLICT (app, content, options) DO UPDATE SET file = excluded.file,
                    uploaded_at = excluded.uploaded_at, expires_at = excluded.expires_at",
        )
        .bind(app.0)
        .bind(content)
        .bind(options)
        .bind(file)
        .bind(self.store().now())
        .bind(millis(expires_at));
        let mut write = self.store().write().await?;
        let result = write.run(statement).await.map(drop);
        write.end(result).await
    }
}
