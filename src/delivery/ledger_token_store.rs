//! Stores the app's token in the ledger, for all hosts that share it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::client::{Client, TokenStore};
use crate::core::TokenTurn;
use crate::ledger::{AppId, Ledger, LedgerError};

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

#[async_trait]
impl TokenStore for LedgerTokenStore {
    async fn request_turn(&self, cipher: &str, known: i64, length: Duration) -> Result<TokenTurn, String> {
        self.ledger.token_turn(self.app, cipher, known, &self.fetcher, length).await.map_err(in_words)
    }

    async fn save(&self, cipher: &str, sealed: &str) -> Result<i64, String> {
        self.ledger.keep_token(self.app, cipher, sealed).await.map_err(in_words)
    }

    async fn served(&self, cipher: &str, number: i64) -> Result<(), String> {
        self.ledger.token_served(self.app, cipher, number).await.map_err(in_words)
    }

    async fn has_served(&self, cipher: &str, number: i64) -> Result<bool, String> {
        self.ledger.has_token_served(self.app, cipher, number).await.map_err(in_words)
    }

    async fn report_failure(&self, cipher: &str, failure: &str, length: Duration) -> Result<(), String> {
        let reported = self.ledger.report_token_failure(self.app, cipher, &self.fetcher, failure, length);
        reported.await.map_err(in_words)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn in_words(error: LedgerError) -> String {
    error.to_string()
}
