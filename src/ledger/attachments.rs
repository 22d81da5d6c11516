//! The files at the service that messages carry. The service deletes them with a recall of their messages.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::sql::sql;
use super::state::recipient::{IN_DOUBT, PENDING, SENDING, SENT};
use super::{AppId, BroadcastId, Ledger, LedgerError};

/// A file that sent messages carry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Attachment {
    /// Its address at the service.
    pub url: String,
    /// The path that it was uploaded from, if it is known.
    pub path: Option<String>,
    /// The other messages that carry it: broadcasts as NAME/RUN, and single sends as `single send NUMBER`.
    pub used_by: Vec<String>,
}

impl fmt::Display for Attachment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.path.as_deref().unwrap_or(&self.url))?;
        if self.used_by.is_empty() {
            Ok(())
        } else {
            write!(formatter, " (also in {})", self.used_by.join(", "))
        }
    }
}

/// A file, and the path that it was uploaded from.
#[derive(sqlx::FromRow)]
struct FileRow {
    url: String,
    path: Option<String>,
}

/// What else carries a file.
#[derive(sqlx::FromRow)]
struct FileUse {
    url: String,
    used_by: String,
}

impl Ledger {
    /// Returns the files that sent messages of a broadcast carry, and the other messages of its app that carry them: sent
    /// and not recalled, in doubt, or still to be sent.
    pub async fn attachments(&self, id: BroadcastId) -> Result<Vec<Attachment>, LedgerError> {
        let urls = self.store().driver.texts().file_url_rows;
        let question = sql(format!(
            "SELECT DISTINCT u.url, f.path FROM ({urls}) u
                JOIN broadcasts b ON b.id = u.broadcast
                LEFT JOIN files f ON f.app = b.app AND f.url = u.url
                WHERE u.broadcast = ?1 AND u.url IS NOT NULL AND EXISTS (SELECT 1 FROM recipients r
                    WHERE r.broadcast = ?1 AND r.message = u.id AND r.state = {SENT} AND r.recalled <> 1)
                ORDER BY u.url"
        ));
        let files: Vec<FileRow> = self.store().rows(question.bind(id.0)).await?;
        let app = self.show(id).await?.app;
        self.with_uses(app, files, Some(id), "[]").await
    }

    /// The same for single messages, of which broadcasts and single sends of this ledger know the files.
    pub async fn attachments_of(
        &self,
        app: AppId,
        message_ids: &[&str],
    ) -> Result<Vec<Attachment>, LedgerError> {
        let urls = self.store().driver.texts().file_url_rows;
        let list = serde_json::to_string(message_ids).map_err(|error| self.store().record(error))?;
        let question = sql(format!(
            "SELECT k.url, max(f.path) AS path FROM (
                    SELECT u.url FROM recipients r JOIN broadcasts b ON b.id = r.broadcast AND b.app = ?1
                        JOIN ({urls}) u ON u.broadcast = r.broadcast AND u.id = r.message AND u.url IS NOT NULL
                        WHERE r.message_id IN (SELECT atom FROM json_each(?2)) AND r.recalled <> 1
                    UNION SELECT e.atom AS url FROM sends s JOIN json_each(s.files) e ON true
                        WHERE s.app = ?1 AND s.files IS NOT NULL AND EXISTS (SELECT 1
                            FROM json_each(coalesce(s.receipts, '[]')) m
                            WHERE m.value ->> 1 IN (SELECT atom FROM json_each(?2)))) k
                LEFT JOIN files f ON f.app = ?1 AND f.url = k.url GROUP BY k.url ORDER BY k.url"
        ));
        let files: Vec<FileRow> = self.store().rows(question.bind(app.0).bind(list.as_str())).await?;
        self.with_uses(app, files, None, &list).await
    }

    /// Adds what else carries the files: not the broadcast `but`, and none of the messages with the ids in `but_messages`, a
    /// JSON list.
    async fn with_uses(
        &self,
        app: AppId,
        files: Vec<FileRow>,
        but: Option<BroadcastId>,
        but_messages: &str,
    ) -> Result<Vec<Attachment>, LedgerError> {
        if files.is_empty() {
            return Ok(Vec::new());
        }
        let urls = self.store().driver.texts().file_url_rows;
        let list: Vec<&str> = files.iter().map(|file| file.url.as_str()).collect();
        let list = serde_json::to_string(&list).map_err(|error| self.store().record(error))?;
        let question = sql(format!(
            "SELECT u.url, b.name || '/' || b.run AS used_by FROM ({urls}) u JOIN broadcasts b ON b.id = u.broadcast
                    WHERE b.id <> ?1 AND NOT b.draft AND b.app = ?2
                        AND u.url IN (SELECT atom FROM json_each(?3)) AND EXISTS (SELECT 1 FROM recipients r
                            WHERE r.broadcast = u.broadcast AND r.message = u.id AND r.recalled <> 1
                                AND r.state IN ({PENDING}, {SENDING}, {SENT}, {IN_DOUBT})
                                AND coalesce(r.message_id, '') NOT IN (SELECT atom FROM json_each(?4)))
                UNION SELECT e.atom AS url, 'single send ' || s.id AS used_by FROM sends s JOIN json_each(s.files) e ON true
                    WHERE s.app = ?2 AND s.files IS NOT NULL AND s.state IN ({SENDING}, {SENT}, {IN_DOUBT})
                        AND e.atom IN (SELECT atom FROM json_each(?3)) AND NOT EXISTS (SELECT 1
                            FROM json_each(coalesce(s.receipts, '[]')) m
                            WHERE m.value ->> 1 IN (SELECT atom FROM json_each(?4)))
                ORDER BY 1, 2"
        ));
        // No broadcast has the number 0.
        let question = question.bind(but.map_or(0, |id| id.0)).bind(app.0).bind(list).bind(but_messages);
        let mut used_by: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for one in self.store().rows::<FileUse>(question).await? {
            used_by.entry(one.url).or_default().push(one.used_by);
        }
        let attachment = |FileRow { url, path }| {
            let used_by = used_by.remove(&url).unwrap_or_default();
            Attachment { url, path, used_by }
        };
        Ok(files.into_iter().map(attachment).collect())
    }

    /// Records that single messages were recalled: no file counts as used by them.
    pub async fn mark_messages_recalled(&self, app: AppId, message_ids: &[&str]) -> Result<(), LedgerError> {
        let list = serde_json::to_string(message_ids).map_err(|error| self.store().record(error))?;
        self.store()
            .transaction(async |write| {
                let recipients = sql("UPDATE recipients SET recalled = 1
                    WHERE message_id IN (SELECT atom FROM json_each(?2)) AND recalled <> 1
                        AND broadcast IN (SELECT id FROM broadcasts WHERE app = ?1)");
                write.run(recipients.bind(app.0).bind(list.as_str())).await?;
                let sends = sql("UPDATE sends SET files = NULL WHERE app = ?1 AND files IS NOT NULL
                    AND NOT EXISTS (SELECT 1 FROM json_each(coalesce(receipts, '[]')) m
                        WHERE m.value ->> 1 NOT IN (SELECT atom FROM json_each(?2)))");
                write.run(sends.bind(app.0).bind(list.as_str())).await.map(drop)
            })
            .await
    }

    /// Forgets the uploads of these files, so that no process uses them again: the same content is uploaded anew, also
    /// for messages that are still to be sent.
    pub async fn forget_uploads(&self, app: AppId, files: &[Attachment]) -> Result<(), LedgerError> {
        if files.is_empty() {
            return Ok(());
        }
        let list: Vec<&str> = files.iter().map(|file| file.url.as_str()).collect();
        let list = serde_json::to_string(&list).map_err(|error| self.store().record(error))?;
        let url = self.store().driver.texts().upload_url;
        self.store()
            .transaction(async |write| {
                let uploads = sql(format!(
                    "DELETE FROM uploads WHERE app = ? AND {url} IN (SELECT atom FROM json_each(?))"
                ));
                write.run(uploads.bind(app.0).bind(list.as_str())).await?;
                let files = sql(
                    "UPDATE files SET expires_at = 0 WHERE app = ? AND url IN (SELECT atom FROM json_each(?))",
                );
                write.run(files.bind(app.0).bind(list.as_str())).await.map(drop)
            })
            .await
    }
}
