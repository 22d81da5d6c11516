//! The users as which an app's messages are sent. The service posts the messages of all users of the app; only records
//! of these senders are kept.

use std::collections::HashSet;

use serde_json::json;

use super::sql::sql;
use super::{AppId, Ledger, LedgerError};

impl Ledger {
    /// Stores that messages are sent as these users. Changes nothing for a user that was stored within the last hour.
    pub async fn store_senders(&self, app: AppId, senders: &[&str]) -> Result<(), LedgerError> {
        let statement = sql(
            "INSERT INTO senders (app, name, used_at) SELECT DISTINCT CAST(?1 AS BIGINT), atom, CAST(?3 AS BIGINT)
                FROM json_each(?2) WHERE true
                ON CONFLICT (app, name) DO UPDATE SET used_at = excluded.used_at WHERE senders.used_at <= excluded.used_at - 3600000",
        );
        let statement = statement.bind(app.0).bind(json!(senders).to_string()).bind(self.store().now());
        self.change(statement).await.map(drop)
    }

    /// Returns the users that messages are sent as and that are among these users, whatever the case of their letters.
    pub async fn known_senders(&self, app: AppId, users: &[&str]) -> Result<HashSet<String>, LedgerError> {
        let question =
            "SELECT name FROM senders WHERE app = ? AND lower(name) IN (SELECT atom FROM json_each(?))";
        let users: Vec<String> = users.iter().map(|user| user.to_ascii_lowercase()).collect();
        self.known(app, question, &users.iter().map(String::as_str).collect::<Vec<_>>()).await
    }
}
