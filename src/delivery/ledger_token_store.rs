//! Stores the app's token in the ledger, for all hosts that share it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::client::{Client, FetchTurn, StoredToken, TokenStore};
use crate::ledger::{AppId, Ledger, LedgerError, StoredAppToken, TokenTurn};

#[cfg(test)]
mod tests;

#[derive(Debug)]
struct LedgerTokenStore {
    ledger: Ledger,
    app: AppId,
    /// Identifies this process among the others.
    fetcher: String,
}

pub(super) fn use_ledger_store(client: &Client, key: &str, ledger: &Ledger, app: AppId) {
    let fetcher = format!("{:032x}", rand::random::<u128>());
    client.use_token_store(key, Arc::new(LedgerTokenStore { ledger: ledger.clone(), app, fetcher }));
}

impl TokenStore for LedgerTokenStore {
    fn request_turn<'a>(
        &'a self,
        seal: &'a str,
        known: i64,
        length: Duration,
    ) -> BoxFuture<'a, Result<FetchTurn, String>> {
        Box::pin(async move {
            let turn = self.ledger.token_turn(self.app, seal, known, &self.fetcher, length).await;
            Ok(match turn.map_err(in_words)? {
                TokenTurn::Mine => FetchTurn::Mine,
                TokenTurn::Theirs => FetchTurn::Theirs,
                TokenTurn::Kept(kept) => {
                    let StoredAppToken { sealed, number, served, trouble } = kept;
                    FetchTurn::Kept(StoredToken { sealed, number, served, trouble })
                }
            })
        })
    }

    fn save<'a>(&'a self, seal: &'a str, sealed: &'a str) -> BoxFuture<'a, Result<i64, String>> {
        Box::pin(async move { self.ledger.keep_token(self.app, seal, sealed).await.map_err(in_words) })
    }

    fn served<'a>(&'a self, seal: &'a str, number: i64) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move { self.ledger.token_served(self.app, seal, number).await.map_err(in_words) })
    }

    fn has_served<'a>(&'a self, seal: &'a str, number: i64) -> BoxFuture<'a, Result<bool, String>> {
        Box::pin(async move { self.ledger.has_token_served(self.app, seal, number).await.map_err(in_words) })
    }

    fn trouble<'a>(
        &'a self,
        seal: &'a str,
        trouble: &'a str,
        length: Duration,
    ) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let told = self.ledger.token_trouble(self.app, seal, &self.fetcher, trouble, length);
            told.await.map_err(in_words)
        })
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn in_words(error: LedgerError) -> String {
    error.to_string()
}
