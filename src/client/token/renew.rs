//! Renews the token: takes the one that another process has stored, or fetches a new one.

use std::time::Duration;

use secrecy::ExposeSecret;

use super::fetch::{self, FetchedToken};
use super::saved::SavedToken;
use super::token_store::{self, CachedToken};
use super::{ActiveToken, BearerToken, ClientCredentials, FetchFailure, REFUSAL_KEPT, TokenProvider};
use crate::client::class::FailureClass;
use crate::client::failure::CallError;
use crate::client::transport::{Deadline, HttpTransport};
use crate::clock::Clock;
use crate::core::{StoredToken, TokenTurn};

/// How long before its end a token is renewed; a tenth of its lifetime if that is less.
const MARGIN: Duration = Duration::from_mins(5);
/// The wait after the first failed fetch. It doubles with each further failure, up to [`REFUSAL_KEPT`].
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// How long the turn of a machine to fetch a token lasts.
const TURN: Duration = Duration::from_secs(30);
/// How often a machine checks whether another machine's fetch is done.
const TURN_POLL: Duration = Duration::from_millis(200);
/// How long a machine waits for other machines before it fetches a token itself.
const TURN_PATIENCE: Duration = Duration::from_mins(1);

impl TokenProvider {
    /// Loads a token from disk, or fetches a new one. The caller holds the lock `turn`.
    pub(super) async fn renew(
        &self,
        credentials: &ClientCredentials,
        transport: &HttpTransport,
        deadline: Option<Deadline>,
    ) -> Result<BearerToken, CallError> {
        let clock = transport.clock();
        if let Some(failure) = self.last_failure(clock) {
            return Err(failure);
        }
        if let Some(token_store) = credentials.token_store.get() {
            return self.renew_for_all(credentials, token_store, transport, deadline).await;
        }
        let Some(store) = &credentials.store else {
            return self.fetch(credentials, None, transport, deadline).await;
        };
        if let Some(bearer) = self.adopt(store.load(), 0, clock) {
            return Ok(bearer);
        }
        let _lock = store.lock(clock).await;
        // Another process may have renewed it during the wait for the lock.
        if let Some(bearer) = self.adopt(store.load(), 0, clock) {
            return Ok(bearer);
        }
        self.fetch(credentials, None, transport, deadline).await
    }

    /// Does the same with a shared store: takes the token that another machine has fetched, or fetches a new one when
    /// it is this machine's turn.
    async fn renew_for_all(
        &self,
        credentials: &ClientCredentials,
        token_store: &CachedToken,
        transport: &HttpTransport,
        deadline: Option<Deadline>,
    ) -> Result<BearerToken, CallError> {
        let clock = transport.clock();
        let patience = clock.now() + TURN_PATIENCE;
        let mut known = self.state().number;
        loop {
            match token_store.turn(known, TURN).await {
                Ok(TokenTurn::Kept(kept)) if kept.number > known => {
                    known = kept.number;
                    if let Some(bearer) = self.adopt(token_store.open(&kept), kept.number, clock) {
                        self.state().number = known;
                        return Ok(bearer);
                    }
                }
                Ok(TokenTurn::Kept(StoredToken { last_failure: Some((words, left)), .. })) => {
                    let failure = token_store::of_another(&words, left);
                    let until = clock.now() + left;
                    self.state().last_failure = Some(FetchFailure { failure: failure.clone(), until });
                    return Err(failure);
                }
                Ok(TokenTurn::Theirs | TokenTurn::Kept(_)) if clock.now() < patience => {
                    if let Some(bearer) = self.go_on(clock) {
                        return Ok(bearer);
                    }
                    clock.sleep(TURN_POLL).await;
                }
                // It is this machine's turn, or the wait for the others was long enough.
                Ok(_) => return self.fetch(credentials, Some(token_store), transport, deadline).await,
                Err(error) => {
                    tracing::warn!(%error, "fetching a token without coordination with the other hosts");
                    return self.fetch(credentials, None, transport, deadline).await;
                }
            }
        }
    }

    /// The current token, if it is still valid. Another machine fetches the next one meanwhile, so the next renewal is
    /// put off.
    fn go_on(&self, clock: &Clock) -> Option<BearerToken> {
        let mut state = self.state();
        let held = state.held.as_mut().filter(|held| clock.now() < held.ends_at)?;
        held.renew_at = (clock.now() + TURN_POLL).min(held.ends_at);
        Some(held.token.clone())
    }

    /// Takes a token that another process has fetched, unless it was refused or must be renewed.
    fn adopt(&self, saved: Option<SavedToken>, number: i64, clock: &Clock) -> Option<BearerToken> {
        let saved = saved?;
        let SavedToken { token, renew_unix, ends_unix, replaced_unix } = &saved;
        let (renew_unix, ends_unix, replaced_unix) = (*renew_unix, *ends_unix, *replaced_unix);
        if self.state().refused.as_ref().is_some_and(|bad| bad.expose_secret() == token.expose_secret()) {
            return None;
        }
        let from_now = |unix: Option<u64>| {
            clock.now()
                + unix
                    .map_or(Duration::MAX, |unix| Duration::from_secs(unix).saturating_sub(clock.unix_time()))
        };
        let (renew_at, ends_at) = (from_now(renew_unix), from_now(ends_unix));
        if renew_at <= clock.now() {
            return None;
        }
        let bearer = BearerToken::new(token, 0)?;
        let ago = |unix: u64| clock.unix_time().saturating_sub(Duration::from_secs(unix));
        let replaced_at = replaced_unix.map(|unix| clock.now().saturating_sub(ago(unix)));
        let saved = replaced_unix.is_some().then_some(saved);
        Some(self.take(ActiveToken { token: bearer, number, renew_at, ends_at, replaced_at, saved }))
    }

    async fn fetch(
        &self,
        credentials: &ClientCredentials,
        token_store: Option<&CachedToken>,
        transport: &HttpTransport,
        deadline: Option<Deadline>,
    ) -> Result<BearerToken, CallError> {
        let clock = transport.clock();
        let fetched = fetch::fetch(credentials, transport, deadline).await;
        let usable = fetched.and_then(|fetched| match BearerToken::new(&fetched.token, 0) {
            Some(bearer) => Ok((fetched, bearer)),
            None => Err(fetch::unusable()),
        });
        let (FetchedToken { token, life }, bearer) = match usable {
            Ok(fetched) => fetched,
            Err(failure) => {
                let failure = self.remember(failure, clock);
                let wait = failure.retry_after.unwrap_or(FIRST_WAIT);
                if let Some(token_store) = token_store
                    && let Err(error) = token_store.report_failure(&failure, wait).await
                {
                    tracing::debug!("could not tell the other hosts that the token request failed: {error}");
                }
                return Err(failure);
            }
        };
        let fresh = life.map(|life| life.saturating_sub(MARGIN.min(life / 10)));
        let replacing = self.state().replacing;
        let unix = |after: Option<Duration>| Some(clock.unix_time().saturating_add(after?).as_secs());
        let (renew_unix, ends_unix) = (unix(fresh), unix(life));
        let replaced_unix = replacing.then(|| clock.unix_time().as_secs());
        let saved = SavedToken { token, renew_unix, ends_unix, replaced_unix };
        let mut number = 0;
        if let Some(token_store) = token_store {
            match token_store.keep(&saved).await {
                Ok(kept) => {
                    number = kept;
                    self.state().number = kept;
                }
                Err(error) => tracing::warn!(%error, "could not store the token for the other hosts"),
            }
        } else if let Some(store) =
            credentials.store.as_ref().filter(|_| credentials.token_store.get().is_none())
        {
            store.save(&saved);
        }
        let saved = replacing.then_some(saved);
        let from_now = |after: Option<Duration>| clock.now() + after.unwrap_or(Duration::MAX);
        let replaced_at = replacing.then(|| clock.now());
        let (renew_at, ends_at) = (from_now(fresh), from_now(life));
        Ok(self.take(ActiveToken { token: bearer, number, renew_at, ends_at, replaced_at, saved }))
    }

    fn remember(&self, failure: CallError, clock: &Clock) -> CallError {
        let mut state = self.state();
        let doubled = FIRST_WAIT * 2_u32.pow(state.failed_fetches.min(6));
        state.failed_fetches = state.failed_fetches.saturating_add(1);
        let wait = match failure.class {
            FailureClass::Permanent | FailureClass::Auth => REFUSAL_KEPT,
            _ => doubled.min(REFUSAL_KEPT).max(failure.retry_after.unwrap_or_default()),
        };
        state.last_failure = Some(FetchFailure { failure: failure.clone(), until: clock.now() + wait });
        drop(state);
        self.last_failure(clock).unwrap_or(failure)
    }
}
