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

use super::agora;
use super::fields::JsonFields;
use super::refusal::{
    CORRUPT_TOKEN, NO_TOKEN, NOT_JSON, Refusal, UNKNOWN_TOKEN, WRONG_CLIENT_ID, WRONG_CLIENT_SECRET,
};
use super::settings::SimulatorSettings;
use super::time::ClockReading;

/// The lifetime of a token with a `ttl` of 0, which never expires: the largest one of a service that counts in
/// milliseconds.
const ENDLESS: Duration = Duration::from_secs(i64::MAX.unsigned_abs() / 1000);

/// The issued tokens and their ends.
#[derive(Debug, Default)]
pub(super) struct IssuedTokens(HashMap<String, Duration>);

#[derive(Debug)]
pub(super) struct TokenGrant {
    pub(super) token: String,
    pub(super) life: Duration,
    /// Its end as the time since 1970, if the answer says it.
    pub(super) end: Option<Duration>,
}

impl IssuedTokens {
    /// Issues a token for the app's credentials, or for a token that an Agora app made. The checks, in order: JSON,
    /// `grant_type`, then the made token, or `client_id`, `client_secret`, `ttl`.
    pub(super) fn grant(
        &mut self,
        settings: &SimulatorSettings,
        rng: &mut StdRng,
        headers: &HeaderMap,
        body: &[u8],
        now: ClockReading,
    ) -> Result<TokenGrant, Refusal> {
        let fields = JsonFields::read(body).map_err(|_| NOT_JSON)?;
        let text = |name| fields.get::<String>(name).map_err(|_| wrong(name)).map(Option::unwrap_or_default);
        let grant_type = text("grant_type")?;
        if let Some(app) = settings.agora.as_ref().filter(|_| grant_type == "agora") {
            let end = app.check(bearer(headers)?, now.unix)?;
            let (token, life) = (new_token(rng), end.saturating_sub(now.unix));
            self.0.insert(token.clone(), now.elapsed.saturating_add(life));
            return Ok(TokenGrant { token, life, end: Some(end) });
        }
        if grant_type != "client_credentials" {
            return Err(wrong("grant_type"));
        }
        if text("client_id")? != settings.client_id {
            return Err(WRONG_CLIENT_ID);
        }
        if text("client_secret")? != settings.client_secret.expose_secret() {
            return Err(WRONG_CLIENT_SECRET);
        }
        let ttl: Option<u64> = fields.get("ttl").map_err(|_| wrong("ttl"))?;
        let life = match ttl {
            None => settings.token_ttl,
            Some(0) => ENDLESS,
            Some(seconds) => Duration::from_secs(seconds),
        };
        let token = new_token(rng);
        self.0.insert(token.clone(), now.elapsed.saturating_add(life));
        Ok(TokenGrant { token, life, end: None })
    }

    /// Checks that a request has a valid token.
    pub(super) fn check(
        &self,
        settings: &SimulatorSettings,
        headers: &HeaderMap,
        now: ClockReading,
    ) -> Result<(), Refusal> {
        let token = bearer(headers)?;
        if settings.fixed_token.as_ref().is_some_and(|fixed| fixed.expose_secret() == token) {
            return Ok(());
        }
        if let Some(app) = settings.agora.as_ref().filter(|_| token.starts_with(agora::VERSION)) {
            return app.check(token, now.unix).map(drop);
        }
        let end = self.0.get(token).ok_or(UNKNOWN_TOKEN)?;
        if now.elapsed < *end { Ok(()) } else { Err(NO_TOKEN) }
    }

    /// Ends every token at once.
    pub(super) fn revoke(&mut self) {
        self.0.clear();
    }
}

fn new_token(rng: &mut StdRng) -> String {
    format!("YWMt{}", URL_SAFE_NO_PAD.encode(rng.random::<[u8; 32]>()))
}

/// The token in a request's `Authorization`.
fn bearer(headers: &HeaderMap) -> Result<&str, Refusal> {
    let header = headers.get(AUTHORIZATION).ok_or(NO_TOKEN)?;
    let token = header.to_str().ok().and_then(|header| header.strip_prefix("Bearer "));
    token.filter(|token| !token.is_empty()).ok_or(CORRUPT_TOKEN)
}

fn wrong(name: &str) -> Refusal {
    Refusal::illegal_argument(format!("{name} is missing or invalid"))
}
