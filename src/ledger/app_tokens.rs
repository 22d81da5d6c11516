//! An app's token, encrypted, for all processes on one store. The store also decides which process may fetch the next
//! token.
//!
//! A reader who has only the ledger cannot read the token: it is sealed before it is stored, with a key that is
//! derived from the app's client secret (`client::token::cipher`).

use std::time::Duration;

use crate::core::{StoredToken, TokenTurn};

use super::sql::sql;
use super::store::{Transaction, from_millis, millis};
use super::{AppId, Ledger, LedgerError};

/// How long the row of a replaced client secret is kept after its last change.
const FORGOTTEN: Duration = Duration::from_hours(24 * 30);

#[derive(sqlx::FromRow)]
struct TokenRow {
    sealed: Option<String>,
    number: i64,
    fetcher: String,
    busy_until: i64,
    trouble: Option<String>,
    served: i64,
}

const ROW: &str =
    "SELECT sealed, number, fetcher, busy_until, trouble, served FROM app_tokens WHERE app = ? AND seal = ?";

impl Ledger {
    /// Requests the right to fetch a token that replaces the one with this number, for at most `length`.
    pub async fn token_turn(
        &self,
        app: AppId,
        cipher: &str,
        known: i64,
        fetcher: &str,
        length: Duration,
    ) -> Result<TokenTurn, LedgerError> {
        self.store().transaction(async |write| turn(write, app, cipher, known, fetcher, length).await).await
    }

    /// Stores a new token; returns its number.
    pub async fn keep_token(&self, app: AppId, cipher: &str, sealed: &str) -> Result<i64, LedgerError> {
        let mut write = self.store().write().await?;
        let number = async {
            let now = write.store.now();
            let forgotten = sql("DELETE FROM app_tokens WHERE app = ? AND seal <> ? AND changed_at < ?");
            write.run(forgotten.bind(app.0).bind(cipher).bind(now - millis(FORGOTTEN))).await?;
            let statement = sql(
                "INSERT INTO app_tokens (app, seal, sealed, number, fetcher, busy_until, changed_at)
                    VALUES (?1, ?2, ?3, 1, '', 0, ?4)
                    ON CONFLICT (app, seal) DO UPDATE SET sealed = excluded.sealed, number = app_tokens.number + 1,
                        fetcher = '', busy_until = 0, trouble = NULL, changed_at = excluded.changed_at
                    RETURNING number",
            );
            let statement = statement.bind(app.0).bind(cipher).bind(sealed).bind(now);
            write.row::<(i64,)>(statement).await
        }
        .await;
        let (number,) =
            write.end(number).await?.ok_or_else(|| self.store().record("no number for a token"))?;
        Ok(number)
    }

    /// Records that a call succeeded with the token of this number.
    pub async fn token_served(&self, app: AppId, cipher: &str, number: i64) -> Result<(), LedgerError> {
        let statement = sql("UPDATE app_tokens SET served = ?1 WHERE app = ?2 AND seal = ?3 AND served < ?1");
        self.change(statement.bind(number).bind(app.0).bind(cipher)).await.map(drop)
    }

    /// Returns whether a call on any host succeeded with the token of this number, or a newer token has replaced it.
    pub async fn has_token_served(&self, app: AppId, cipher: &str, number: i64) -> Result<bool, LedgerError> {
        let question = sql("SELECT number FROM app_tokens
                WHERE app = ?1 AND seal = ?2 AND (served >= ?3 OR number > ?3)");
        let found: Option<(i64,)> = self.store().row(question.bind(app.0).bind(cipher).bind(number)).await?;
        Ok(found.is_some())
    }

    /// Gives up the right to fetch without a token. `failure` says why, and is the answer to every process that wants
    /// to fetch within `length`.
    pub async fn report_token_failure(
        &self,
        app: AppId,
        cipher: &str,
        fetcher: &str,
        failure: &str,
        length: Duration,
    ) -> Result<(), LedgerError> {
        let mut write = self.store().write().await?;
        let statement = sql("UPDATE app_tokens SET trouble = ?, busy_until = ?, changed_at = ?
                WHERE app = ? AND seal = ? AND fetcher = ?");
        let now = write.store.now();
        let statement = statement.bind(failure).bind(now + millis(length)).bind(now);
        let reported = write.run(statement.bind(app.0).bind(cipher).bind(fetcher)).await.map(drop);
        write.end(reported).await
    }
}

async fn turn(
    write: &mut Transaction<'_>,
    app: AppId,
    cipher: &str,
    known: i64,
    fetcher: &str,
    length: Duration,
) -> Result<TokenTurn, LedgerError> {
    let now = write.store.now();
    if let Some(row) = write.row::<TokenRow>(sql(ROW).bind(app.0).bind(cipher)).await? {
        let theirs = row.busy_until > now && row.fetcher != fetcher;
        let kept = row.kept(now);
        if kept.number > known || kept.last_failure.is_some() {
            return Ok(TokenTurn::Kept(kept));
        }
        if theirs {
            return Ok(TokenTurn::Theirs);
        }
    }
    let statement = sql(
        "INSERT INTO app_tokens (app, seal, fetcher, busy_until, changed_at) VALUES (?1, ?2, ?3, ?4, ?5)
            ON CONFLICT (app, seal) DO UPDATE SET fetcher = excluded.fetcher, busy_until = excluded.busy_until,
                trouble = NULL, changed_at = excluded.changed_at",
    );
    let statement = statement.bind(app.0).bind(cipher).bind(fetcher).bind(now + millis(length)).bind(now);
    write.run(statement).await?;
    Ok(TokenTurn::Mine)
}

impl TokenRow {
    fn kept(self, now: i64) -> StoredToken {
        let Self { sealed, number, busy_until, trouble, served, .. } = self;
        let last_failure =
            trouble.filter(|_| busy_until > now).map(|why| (why, from_millis(busy_until - now)));
        StoredToken { sealed, number, served: served >= number, last_failure }
    }
}

#[cfg(test)]
impl Ledger {
    /// Returns all rows, as texts.
    pub(crate) async fn all_app_tokens(&self) -> Vec<String> {
        type AppTokenRow = (String, Option<String>, i64, String, Option<String>);
        let mut read = self.store().read().await.unwrap();
        let question = sql("SELECT seal, sealed, number, fetcher, trouble FROM app_tokens");
        let rows: Vec<AppTokenRow> = read.rows(question).await.unwrap();
        read.done();
        rows.iter().map(|row| format!("{row:?}")).collect()
    }
}
