//! Access tokens of the page and its API, with their names and roles. Only their hashes are stored.

use std::time::Duration;

use crate::core::TokenRole;

use super::columns::{Millis, OptionalMillis};
use super::sql::sql;
use super::store::{Transaction, millis};
use super::{Ledger, LedgerError};

/// How long the time of the last use may be out of date.
const USED: Duration = Duration::from_mins(1);

/// An access token, without the token itself.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct AccessToken {
    /// SHA-256 of the token in hexadecimal.
    pub hash: String,
    /// The name of its holder.
    pub name: String,
    /// The beginning of the token, by which its owner recognises it.
    pub prefix: String,
    #[sqlx(try_from = "String")]
    pub role: TokenRole,
    #[sqlx(try_from = "Millis")]
    pub created_at: Duration,
    #[sqlx(try_from = "OptionalMillis")]
    pub expires_at: Option<Duration>,
    /// The last use, to the minute.
    #[sqlx(try_from = "OptionalMillis")]
    pub used_at: Option<Duration>,
    #[sqlx(try_from = "OptionalMillis")]
    pub revoked_at: Option<Duration>,
}

/// A token to store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAccessToken {
    pub hash: String,
    pub name: String,
    pub prefix: String,
    pub role: TokenRole,
    /// The end of its life. `None` if it never expires.
    pub expires_at: Option<Duration>,
}

impl AccessToken {
    /// Returns whether the token may be used at `now`.
    pub fn is_active(&self, now: Duration) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

impl Ledger {
    /// Stores tokens. Without `renew`, stores nothing and returns a name that has an active token; with it, such tokens
    /// are revoked first.
    pub async fn add_tokens(
        &self,
        tokens: &[NewAccessToken],
        renew: bool,
    ) -> Result<Option<String>, LedgerError> {
        self.store()
            .transaction(async |write| {
                let now = write.store.now();
                for token in tokens {
                    let active = sql("SELECT count(*) FROM access_tokens
                        WHERE name = ? AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?)");
                    let found: Option<(i64,)> = write.row(active.bind(&token.name).bind(now)).await?;
                    if !renew && found.is_some_and(|(count,)| count > 0) {
                        return Ok(Some(token.name.clone()));
                    }
                }
                for token in tokens {
                    revoke(write, &token.name).await?;
                    insert(write, token).await?;
                }
                Ok(None)
            })
            .await
    }

    /// Stores the first tokens of a ledger. Returns whether it had none before; otherwise nothing is stored.
    pub async fn add_first_tokens(&self, tokens: &[NewAccessToken]) -> Result<bool, LedgerError> {
        self.store()
            .transaction(async |write| {
                let (there,) =
                    write.row(sql("SELECT count(*) FROM access_tokens")).await?.unwrap_or((0_i64,));
                if there > 0 {
                    return Ok(false);
                }
                for token in tokens {
                    insert(write, token).await?;
                }
                Ok(true)
            })
            .await
    }

    /// Revokes the token of a name. Returns whether there was one that was not revoked.
    pub async fn revoke_token(&self, name: &str) -> Result<bool, LedgerError> {
        Ok(self.store().transaction(async |write| revoke(write, name).await).await? > 0)
    }

    /// Returns all tokens, by name, the newest of a name first.
    pub async fn tokens(&self) -> Result<Vec<AccessToken>, LedgerError> {
        self.store().rows_now(sql("SELECT * FROM access_tokens ORDER BY name, created_at DESC, hash")).await
    }

    /// Returns the token with this hash.
    pub async fn token(&self, hash: &str) -> Result<Option<AccessToken>, LedgerError> {
        self.store().row_now(sql("SELECT * FROM access_tokens WHERE hash = ?").bind(hash)).await
    }

    /// Returns the tokens of a name, the newest first.
    pub async fn tokens_of(&self, name: &str) -> Result<Vec<AccessToken>, LedgerError> {
        let question = sql("SELECT * FROM access_tokens WHERE name = ? ORDER BY created_at DESC, hash");
        self.store().rows_now(question.bind(name)).await
    }

    /// Records the use of a token, at most once a minute.
    pub async fn use_token(&self, token: &AccessToken) -> Result<(), LedgerError> {
        let now = self.store().now();
        if token.used_at.is_some_and(|used| millis(used + USED) > now) {
            return Ok(());
        }
        let used = sql("UPDATE access_tokens SET used_at = ? WHERE hash = ?").bind(now).bind(&token.hash);
        self.store().change(used).await.map(drop)
    }
}

async fn insert(write: &mut Transaction<'_>, token: &NewAccessToken) -> Result<(), LedgerError> {
    let statement = sql("INSERT INTO access_tokens (hash, name, prefix, role, created_at, expires_at)
        VALUES (?, ?, ?, ?, ?, ?)");
    let statement = statement.bind(&token.hash).bind(&token.name).bind(&token.prefix).bind(token.role.name());
    let now = write.store.now();
    write.run(statement.bind(now).bind(token.expires_at.map(millis))).await.map(drop)
}

async fn revoke(write: &mut Transaction<'_>, name: &str) -> Result<u64, LedgerError> {
    let statement = sql("UPDATE access_tokens SET revoked_at = ? WHERE name = ? AND revoked_at IS NULL");
    let now = write.store.now();
    write.run(statement.bind(now).bind(name)).await
}
