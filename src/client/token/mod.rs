//! The app's token: fixed, fetched with the client id and secret, or made of an App Certificate and exchanged or used.
//! One fetch serves all waiting calls.
//!
//! The service bans accounts that request tokens too often. So a failed fetch is remembered and returned to all calls
//! for a while, a token is stored on disk between processes, and the processes of a project take turns. If several
//! machines share a store, the token is stored there, encrypted, and all machines use the same one.

mod agora;
mod bearer;
mod cipher;
mod fetch;
mod renew;
mod saved;
mod token_file;
mod token_store;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use super::ClientError;
use super::failure::CallError;
use super::transport::{Deadline, HttpTransport};
use crate::clock::{Clock, Instant};
use crate::config::{AgoraLogin, App, Credentials};
use cipher::TokenCipher;
use saved::SavedToken;
use token_file::TokenFile;
use token_store::CachedToken;

pub use agora::agora_token;
pub(super) use bearer::BearerToken;
pub use token_store::TokenStore;

/// How long a refusal that will not change is returned to all calls.
const REFUSAL_KEPT: Duration = Duration::from_mins(1);
/// After this many refused replacements in a row, no token is fetched for a while. This applies if the token before the
/// first of them had worked; otherwise one refused replacement suffices.
const UNSERVED_MAX: u32 = 3;
/// The most refused tokens that are replaced in [`REFUSAL_KEPT`].
const REPLACED_MAX: usize = 10;
/// A token that a script's own call was refused with is replaced at most this often: the path that the script names may
/// have a 401 of its own, and a new token does not change that.
const REPLACED_FOR_REST: Duration = Duration::from_mins(10);
/// The longest time for which a call waits until the store records that its token has served.
const SERVED_PATIENCE: Duration = Duration::from_secs(2);

/// Why calls wait for a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenWait {
    /// The time until the next fetch; `None` if the last one did not fail.
    pub left: Option<Duration>,
    /// Why the last fetch failed; `None` if it did not.
    pub why: Option<String>,
}

/// Provides the app's token.
pub(super) struct TokenProvider {
    source: TokenSource,
    state: Mutex<TokenState>,
    /// The generation of the newest token with which a call succeeded.
    accepted: AtomicU64,
    /// Locked during a fetch.
    turn: tokio::sync::Mutex<()>,
}

enum TokenSource {
    Fixed(BearerToken),
    Client(Box<ClientCredentials>),
}

struct ClientCredentials {
    /// The client id, or the App ID.
    id: String,
    /// The client secret, or the App Certificate.
    secret: SecretString,
    method: LoginMethod,
    /// The URL of `/token`.
    url: Url,
    store: Option<TokenFile>,
    /// The shared token store, which replaces `store` once it is set.
    token_store: OnceLock<CachedToken>,
}

/// How a token is had for the credentials.
#[derive(Clone, Copy)]
enum LoginMethod {
    ClientSecret,
    Agora(AgoraLogin),
}

#[derive(Default)]
struct TokenState {
    generation: u64,
    held: Option<ActiveToken>,
    /// The number in the token store of the newest token that this process knows.
    number: i64,
    /// The token that the service refused last. It is not loaded from disk again.
    refused: Option<SecretString>,
    /// Whether the next token replaces a refused one.
    replacing: bool,
    /// How many tokens in a row were refused without having served, each fetched to replace the one before.
    unserved: u32,
    /// Whether a call of this process had succeeded with the token that the first of those replaced.
    had_worked: bool,
    /// When tokens were refused within the last [`REFUSAL_KEPT`].
    refusals: Vec<Instant>,
    /// The generation of the token whose refusal is the current `last_failure`.
    given_up: Option<u64>,
    /// When a token was last taken out of use because a script's own call was refused with it.
    replaced_for_rest: Option<Instant>,
    failed_fetches: u32,
    last_failure: Option<FetchFailure>,
}

struct ActiveToken {
    token: BearerToken,
    /// The token's number in the token store; 0 if it has none.
    number: i64,
    renew_at: Instant,
    ends_at: Instant,
    /// When the token was fetched to replace a refused one; `None` once a call has succeeded with it.
    replaced_at: Option<Instant>,
    /// The form for other processes, while they count the token as a replacement.
    saved: Option<SavedToken>,
}

/// A failure that is returned to all calls until `until`.
struct FetchFailure {
    failure: CallError,
    until: Instant,
}

impl TokenProvider {
    pub(super) fn new(app: &App, url: Url, state_dir: Option<&Path>) -> Result<Self, ClientError> {
        let client = |id: &String, secret: &SecretString, method| {
            TokenSource::Client(Box::new(ClientCredentials {
                id: id.clone(),
                secret: secret.clone(),
                method,
                url,
                token_store: OnceLock::new(),
                store: state_dir.map(|dir| TokenFile::new(dir, app.key(), id)),
            }))
        };
        let source = match &app.credentials {
            Credentials::Token(token) => {
                TokenSource::Fixed(BearerToken::new(token, 0).ok_or(ClientError::TokenCharacters)?)
            }
            Credentials::Client { id, secret } => client(id, secret, LoginMethod::ClientSecret),
            Credentials::Agora { app_id, certificate, login } => {
                client(app_id, certificate, LoginMethod::Agora(*login))
            }
        };
        Ok(Self {
            source,
            state: Mutex::default(),
            accepted: AtomicU64::new(0),
            turn: tokio::sync::Mutex::new(()),
        })
    }

    /// Stores the token in a token store from now on, for the app with this key. Has no effect if the token is fixed.
    pub(super) fn use_store(&self, app: &str, store: Arc<dyn TokenStore>) {
        if let TokenSource::Client(credentials) = &self.source
            && let Some(cipher) = TokenCipher::new(app, &credentials.id, &credentials.secret)
        {
            // The first store stays.
            let _ = credentials.token_store.set(CachedToken { store, cipher });
        }
    }

    /// Whether a refused token can be replaced.
    pub(super) fn renewable(&self) -> bool {
        matches!(self.source, TokenSource::Client(_))
    }

    /// Why calls wait for a token: it is being fetched, or a fetch failed. `None` if they do not wait.
    pub(super) fn wait(&self, clock: &Clock) -> Option<TokenWait> {
        if matches!(self.source, TokenSource::Fixed(_))
            || self.held(|held| clock.now() < held.ends_at).is_some()
        {
            return None;
        }
        if let Some(failure) = self.last_failure(clock) {
            return Some(TokenWait { left: failure.retry_after, why: Some(failure.to_string()) });
        }
        self.turn.try_lock().is_err().then_some(TokenWait { left: None, why: None })
    }

    pub(super) fn client_secret(&self) -> Option<&str> {
        match &self.source {
            TokenSource::Fixed(_) => None,
            TokenSource::Client(credentials) => Some(credentials.secret.expose_secret()),
        }
    }

    /// The active token, if it need not be renewed yet.
    pub(super) fn at_hand(&self, clock: &Clock) -> Option<BearerToken> {
        match &self.source {
            TokenSource::Fixed(token) => Some(token.clone()),
            TokenSource::Client(_) => self.held(|held| clock.now() < held.renew_at),
        }
    }

    /// The token to use now.
    ///
    /// # Errors
    ///
    /// Why there is none, in the form for the caller, whose own call was not made. [`super::FailureClass::Auth`] and
    /// [`super::FailureClass::Permanent`] are returned as they are. Every other failure is [`super::FailureClass::NothingSent`].
    ///
    /// A fetch for this caller ends by the `deadline`.
    pub(super) async fn acquire_token(
        &self,
        transport: &HttpTransport,
        deadline: Option<Deadline>,
    ) -> Result<BearerToken, CallError> {
        let credentials = match &self.source {
            TokenSource::Fixed(token) => return Ok(token.clone()),
            TokenSource::Client(credentials) => credentials,
        };
        let clock = transport.clock();
        if let Some(token) = self.at_hand(clock) {
            return Ok(token);
        }
        let _turn = match self.turn.try_lock() {
            Ok(turn) => turn,
            Err(_) => match self.held(|held| clock.now() < held.ends_at) {
                // Another call renews it already, and the token is still valid.
                Some(token) => return Ok(token),
                None => self.turn.lock().await,
            },
        };
        if let Some(token) = self.at_hand(clock) {
            return Ok(token);
        }
        // The box keeps a call with an active token smaller than one that fetches it.
        let renewed = Box::pin(self.renew(credentials, transport, deadline)).await;
        renewed.or_else(|failure| self.held(|held| clock.now() < held.ends_at).ok_or(failure))
    }

    /// Records that a call succeeded with `token`. The first time, the token stops counting as a replacement, in this
    /// process and in the others. If it had been given up, that decision is revoked.
    pub(super) async fn accepted(&self, token: &BearerToken, clock: &Clock) {
        if token.generation > self.accepted.load(Ordering::Relaxed) {
            self.accepted.fetch_max(token.generation, Ordering::Relaxed);
            Box::pin(self.accepted_first(token, clock)).await;
        }
    }

    async fn accepted_first(&self, token: &BearerToken, clock: &Clock) {
        let Some((saved, number)) = self.has_proved(token) else { return };
        let TokenSource::Client(credentials) = &self.source else { return };
        if let Some(token_store) = credentials.token_store.get() {
            // The answer of the call waits meanwhile, so the time is limited.
            match clock.timeout(SERVED_PATIENCE, token_store.served(number)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!(%error, "could not tell the other hosts that the service accepted the token");
                }
                Err(_) => tracing::warn!(
                    "could not tell the other hosts that the service accepted the \
                 token: the store did not answer"
                ),
            }
        } else if let Some(store) = &credentials.store {
            store.save(&SavedToken { replaced_unix: None, ..saved });
        }
    }

    /// Marks `token` as one that has served. If it was a replacement until now, returns what other
    /// processes must learn.
    fn has_proved(&self, token: &BearerToken) -> Option<(SavedToken, i64)> {
        let mut state = self.state();
        if state.given_up.take_if(|given_up| *given_up == token.generation).is_some() {
            state.last_failure = None;
        }
        let held = state.held.as_mut().filter(|held| held.token.generation == token.generation)?;
        held.replaced_at = None;
        Some((held.saved.take()?, held.number))
    }

    /// Records that the service answered 401 to `token`. The first such call takes the token out of use; a call with an
    /// old token has no effect. A token with which a call of any process succeeded is replaced again.
    ///
    /// If a replacement of a refused token is refused without having served, the next token would probably be refused
    /// as well. If the token before it had worked, only the third such replacement in a row counts as proof, because a
    /// service that refuses a few calls at once refuses new tokens too. That proof, or too many refusals within a short
    /// time, stops the fetching: all calls get the failure for a while.
    ///
    /// Returns true if they do.
    pub(super) async fn refused(&self, token: &BearerToken, clock: &Clock, failure: &CallError) -> bool {
        let now = clock.now();
        let is_recent = |at: Instant| now.saturating_since(at) < REFUSAL_KEPT;
        let is_unproven = |held: &ActiveToken| {
            held.token.generation == token.generation && held.replaced_at.is_some_and(is_recent)
        };
        // The calls of this process wait until it is known whether the token has served in another process.
        let (_turn, served) = if self.held(is_unproven).is_some() {
            let turn = self.turn.lock().await;
            (Some(turn), Box::pin(self.has_served_elsewhere(token)).await)
        } else {
            (None, false)
        };
        let mut state = self.state();
        let Some(held) = state.held.take_if(|held| held.token.generation == token.generation) else {
            return state.given_up == Some(token.generation);
        };
        state.refused = Some(SecretString::from(token.as_str()));
        state.replacing = true;
        state.refusals.retain(|at| is_recent(*at));
        let never_served = !served && held.replaced_at.is_some_and(is_recent);
        if never_served {
            state.unserved += 1;
        } else {
            state.unserved = 0;
            state.had_worked = self.accepted.load(Ordering::Relaxed) >= token.generation;
        }
        let most = if state.had_worked { UNSERVED_MAX } else { 1 };
        let is_hopeless = (never_served && state.unserved >= most) || state.refusals.len() >= REPLACED_MAX;
        state.refusals.push(now);
        if is_hopeless {
            state.last_failure = Some(FetchFailure { failure: failure.clone(), until: now + REFUSAL_KEPT });
            state.given_up = Some(token.generation);
        }
        is_hopeless
    }

    /// Records that the service answered 401 to a call whose path a script names ([`super::RestCall`]). Such a 401 says
    /// little of the token, so it takes a token out of use once in [`REPLACED_FOR_REST`] at most, and never counts as a
    /// proof that the next token is refused too: no other call fails because of it.
    ///
    /// Returns whether the call may be repeated with the token that is used now.
    pub(super) fn refused_for_rest(&self, token: &BearerToken, clock: &Clock) -> bool {
        let now = clock.now();
        let mut state = self.state();
        if state.held.as_ref().is_none_or(|held| held.token.generation != token.generation) {
            // It is out of use already.
            return true;
        }
        if state.replaced_for_rest.is_some_and(|at| now.saturating_since(at) < REPLACED_FOR_REST) {
            return false;
        }
        state.replaced_for_rest = Some(now);
        state.held = None;
        state.refused = Some(SecretString::from(token.as_str()));
        true
    }

    /// Whether a call of another process has succeeded with the current token.
    async fn has_served_elsewhere(&self, token: &BearerToken) -> bool {
        let TokenSource::Client(credentials) = &self.source else { return false };
        if let Some(token_store) = credentials.token_store.get() {
            let number = self.state().held.as_ref().map_or(0, |held| held.number);
            return token_store.has_served(number).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "could not read whether the service accepted the token on another host");
                false
            });
        }
        let saved = credentials.store.as_ref().and_then(TokenFile::load);
        saved.is_some_and(|saved| {
            saved.replaced_unix.is_none() && saved.token.expose_secret() == token.as_str()
        })
    }

    /// The failure that is returned to all calls now, with its remaining time.
    fn last_failure(&self, clock: &Clock) -> Option<CallError> {
        let state = self.state();
        let last_failure = state.last_failure.as_ref()?;
        let left = last_failure.until - clock.now();
        (!left.is_zero()).then(|| CallError { retry_after: Some(left), ..last_failure.failure.clone() })
    }

    fn take(&self, mut held: ActiveToken) -> BearerToken {
        let mut state = self.state();
        state.generation += 1;
        held.token.generation = state.generation;
        let token = held.token.clone();
        state.held = Some(held);
        state.replacing = false;
        state.last_failure = None;
        state.failed_fetches = 0;
        token
    }

    fn held(&self, serves: impl FnOnce(&ActiveToken) -> bool) -> Option<BearerToken> {
        self.state().held.as_ref().filter(|held| serves(held)).map(|held| held.token.clone())
    }

    fn state(&self) -> MutexGuard<'_, TokenState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
