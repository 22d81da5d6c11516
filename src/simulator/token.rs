//! `POST /token`, and the check of the tokens that it issues.

use std::collections::HashMap;
use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::Rng;
use rand::rngs::StdRng;
use secrecy::ExposeSecret;

use super::fields::JsonFields;
use super::refusal::{
    CORRUPT_TOKEN, NO_TOKEN, NOT_JSON, Refusal, UNKNOWN_TOKEN, WRONG_CLIENT_ID, WRONG_CLIENT_SECRET,
};
use super::settings::SimulatorSettings;
use super::time::ClockReading;

/// The issued tokens and their ends.
#[derive(Debug, Default)]
pub(super) struct IssuedTokens(HashMap<String, Duration>);

#[derive(Debug)]
pub(super) struct TokenGrant {
    pub(super) token: String,
    pub(super) life: Duration,
}

impl IssuedTokens {
    /// Issues a token for the app's credentials. The checks, in order: JSON, `grant_type`, `client_id`,
    /// `client_secret`, `ttl`.
    pub(super) fn grant(
        &mut self,
        settings: &SimulatorSettings,
        rng: &mut StdRng,
        body: &[u8],
        now: ClockReading,
    ) -> Result<TokenGrant, Refusal> {
        let fields = JsonFields::read(body).map_err(|_| NOT_JSON)?;
        let text = |name| fields.get::<String>(name).map_err(|_| wrong(name)).map(Option::unwrap_or_default);
        if text("grant_type")? != "client_credentials" {
            return Err(wrong("grant_type"));
        }
        if text("client_id")? != settings.client_id {
            return Err(WRONG_CLIENT_ID);
        }
        if text("client_secret")? != settings.client_secret.expose_secret() {
            return Err(WRONG_CLIENT_SECRET);
        }
        let ttl: Option<u64> = fields.get("ttl").map_err(|_| wrong("ttl"))?;
        let life = ttl.map_or(settings.token_ttl, Duration::from_secs);
        let token = format!("YWMt{}", URL_SAFE_NO_PAD.encode(rng.random::<[u8; 32]>()));
        self.0.insert(token.clone(), now.elapsed.saturating_add(life));
        Ok(TokenGrant { token, life })
    }

    /// Checks that a request has a valid token.
    pub(super) fn check(
        &self,
        settings: &SimulatorSettings,
        headers: &HeaderMap,
        now: ClockReading,
    ) -> Result<(), Refusal> {
        let header = headers.get(AUTHORIZATION).ok_or(NO_TOKEN)?;
        let token = header.to_str().ok().and_then(|header| header.strip_prefix("Bearer "));
        let token = token.filter(|token| !token.is_empty()).ok_or(CORRUPT_TOKEN)?;
        if settings.fixed_token.as_ref().is_some_and(|fixed| fixed.expose_secret() == token) {
            return Ok(());
        }
        let end = self.0.get(token).ok_or(UNKNOWN_TOKEN)?;
        if now.elapsed < *end { Ok(()) } else { Err(NO_TOKEN) }
    }

    /// Ends every token at once.
    pub(super) fn revoke(&mut self) {
        self.0.clear();
    }
}

fn wrong(name: &str) -> Refusal {
    Refusal::illegal_argument(format!("{name} is missing or invalid"))
}
