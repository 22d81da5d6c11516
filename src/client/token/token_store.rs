//! The interface of a store that several machines share a token through. The implementation is in another module. The
//! stored token is encrypted.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::cipher::TokenCipher;
use super::fetch;
use super::saved::SavedToken;
use crate::client::class::FailureClass;
use crate::client::failure::CallError;
use crate::client::scrub::SanitizedText;
use crate::core::{StoredToken, TokenTurn};

/// A store that all processes of an app can reach. Errors are texts. After an error, a token is fetched without the
/// store.
#[async_trait]
pub trait TokenStore: Debug + Send + Sync {
    /// Requests the turn to fetch a token that replaces the one with the number `known`, for `length` at most. `cipher`
    /// distinguishes the tokens of one client secret from those of another.
    async fn request_turn(&self, cipher: &str, known: i64, length: Duration) -> Result<TokenTurn, String>;
    /// Stores a new token and ends the turn. Returns the token's number, which is higher than all before.
    async fn save(&self, cipher: &str, sealed: &str) -> Result<i64, String>;
    /// Records that a call succeeded with the token with this number.
    async fn served(&self, cipher: &str, number: i64) -> Result<(), String>;
    /// Whether a call of any process succeeded with the token with this number, or a newer one has replaced it.
    async fn has_served(&self, cipher: &str, number: i64) -> Result<bool, String>;
    /// Ends the turn without a token. The reason is returned to all processes that want to fetch within `length`.
    async fn report_failure(&self, cipher: &str, failure: &str, length: Duration) -> Result<(), String>;
}

/// A token store with the cipher for an app's tokens.
pub(super) struct CachedToken {
    pub(super) store: Arc<dyn TokenStore>,
    pub(super) cipher: TokenCipher,
}

/// The stored form of a failure for other processes.
#[derive(Serialize, Deserialize)]
struct SharedFailure {
    class: String,
    status: Option<u16>,
    error: Option<String>,
    code: Option<i64>,
    description: Option<String>,
    detail: String,
}

impl CachedToken {
    pub(super) async fn turn(&self, known: i64, length: Duration) -> Result<TokenTurn, String> {
        self.store.request_turn(self.cipher.name(), known, length).await
    }

    pub(super) fn open(&self, kept: &StoredToken) -> Option<SavedToken> {
        let saved: SavedToken = serde_json::from_slice(&self.cipher.open(kept.sealed.as_ref()?)?).ok()?;
        Some(if kept.served { SavedToken { replaced_unix: None, ..saved } } else { saved })
    }

    /// Stores a token for all processes. Returns its number.
    pub(super) async fn keep(&self, token: &SavedToken) -> Result<i64, String> {
        // The text is encrypted in place.
        let text = serde_json::to_vec(token).ok();
        let sealed = text.and_then(|text| self.cipher.seal(text));
        let sealed = sealed.ok_or_else(|| "it cannot be encrypted".to_owned())?;
        self.store.save(self.cipher.name(), &sealed).await
    }

    /// Records that a call succeeded with the token with this number.
    pub(super) async fn served(&self, number: i64) -> Result<(), String> {
        self.store.served(self.cipher.name(), number).await
    }

    /// Whether a call of any process succeeded with this token, or a newer one has replaced it.
    pub(super) async fn has_served(&self, number: i64) -> Result<bool, String> {
        self.store.has_served(self.cipher.name(), number).await
    }

    /// Stores a failure for the other processes. It holds no secret.
    pub(super) async fn report_failure(&self, failure: &CallError, length: Duration) -> Result<(), String> {
        let class = match failure.class {
            FailureClass::Auth => "auth",
            FailureClass::Permanent => "permanent",
            _ => "nothing_sent",
        };
        let text = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
        let shared = SharedFailure {
            class: class.to_owned(),
            status: failure.status,
            error: text(&failure.error),
            code: failure.code,
            description: text(&failure.description),
            detail: failure.detail.to_string(),
        };
        let shared = serde_json::to_string(&shared).map_err(|error| error.to_string())?;
        self.store.report_failure(self.cipher.name(), &shared, length).await
    }
}

/// The error for a failure that another process has stored.
pub(super) fn of_another(failure: &str, left: Duration) -> CallError {
    let shared: Option<SharedFailure> = serde_json::from_str(failure).ok();
    let class = match shared.as_ref().map(|shared| shared.class.as_str()) {
        Some("auth") => FailureClass::Auth,
        Some("permanent") => FailureClass::Permanent,
        _ => FailureClass::NothingSent,
    };
    let shown = |text: &str| Box::from(SanitizedText::new(text, &[]).as_str());
    let detail = shared.as_ref().map_or("", |shared| &shared.detail);
    let plain = CallError::plain(class, fetch::CALL.name, &SanitizedText::new(detail, &[]));
    CallError {
        status: shared.as_ref().and_then(|shared| shared.status),
        error: shared.as_ref().and_then(|shared| shared.error.as_deref()).map(shown),
        code: shared.as_ref().and_then(|shared| shared.code),
        description: shared.as_ref().and_then(|shared| shared.description.as_deref()).map(shown),
        retry_after: Some(left),
        ..plain
    }
}
