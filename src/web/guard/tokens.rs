//! API tokens: generated here, shown once, and stored as hashes.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::SecretString;
use sha2::Sha256;

use super::{BrowserSession, secret};
use crate::clock::Clock;
use crate::core::utc;
use crate::core::{TokenRole, sha256_hex};
use crate::ledger::{AccessToken, Ledger, LedgerError, NewAccessToken};
use crate::web::answer::ApiError;

/// The beginning of every token.
pub(super) const TOKEN_HEAD: &str = "mooncast_";

/// The random bytes of a token.
const CHANCE: usize = 32;

/// The lifetime of a session cookie.
const SESSION: Duration = Duration::from_hours(7 * 24);

/// The characters of a token's random part by which its owner recognises it.
const SHOWN: usize = 6;

/// The names and roles of the tokens of a new ledger.
pub const FIRST_TOKENS: [(&str, TokenRole); 2] = [("operate", TokenRole::Admin), ("read", TokenRole::Viewer)];

/// A newly generated token.
pub struct NewToken {
    /// The token. It is shown once.
    pub token: SecretString,
    /// What the ledger stores of it.
    pub kept: NewAccessToken,
}

impl fmt::Debug for NewToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("NewToken").field("name", &self.kept.name).finish_non_exhaustive()
    }
}

/// Generates a token. `label` is the readable part at its beginning.
pub fn mint(name: &str, role: TokenRole, label: &str, expires_at: Option<Duration>) -> NewToken {
    let chance: [u8; CHANCE] = rand::random();
    let prefix = format!("{TOKEN_HEAD}{label}_");
    let random = BASE64URL_NOPAD.encode(&chance);
    let token = format!("{prefix}{random}");
    let kept = NewAccessToken {
        // A random token needs no slow hash.
        hash: sha256_hex(&token),
        name: name.to_owned(),
        prefix: format!("{prefix}{}", random.get(..SHOWN).unwrap_or_default()),
        role,
        expires_at,
    };
    NewToken { token: token.into(), kept }
}

/// What a token or a session stands for.
pub(in crate::web) enum TokenCheck {
    /// It may be used.
    Active(AccessToken),
    /// It was valid once. Holds why it no longer is.
    Ended(String),
    /// It was never valid.
    Unknown,
}

impl TokenCheck {
    fn of(token: AccessToken, now: Duration) -> Self {
        let name = &token.name;
        let again = format!("`mooncast tokens renew {name}` makes a new one");
        if let Some(at) = token.revoked_at {
            return Self::Ended(format!("the token of `{name}` was revoked at {}; {again}", utc(at)));
        }
        match token.expires_at {
            Some(end) if now >= end => {
                Self::Ended(format!("the token of `{name}` expired at {}; {again}", utc(end)))
            }
            _ => Self::Active(token),
        }
    }

    /// Returns the token if it may be used, and else 401.
    pub(in crate::web) fn active(self) -> Result<AccessToken, ApiError> {
        match self {
            Self::Active(token) => Ok(token),
            Self::Ended(why) => Err(ApiError::new(StatusCode::UNAUTHORIZED, why)),
            Self::Unknown => Err(ApiError::unauthorized()),
        }
    }
}

/// The valid tokens.
#[derive(Clone)]
pub(in crate::web) struct ApiTokens {
    ledger: Ledger,
    clock: Clock,
    /// The key that signs sessions.
    secret: Arc<[u8; 32]>,
}

impl ApiTokens {
    /// The tokens of this ledger. The session key is in `folder`, on this machine.
    pub(in crate::web) fn new(ledger: Ledger, folder: &Path, clock: Clock) -> io::Result<Self> {
        let secret = secret::key(folder).map_err(|error| {
            let path = folder.display();
            io::Error::new(
                error.kind(),
                format!("cannot read or create the key of page sessions in {path}: {error}; make the folder writable, then start the daemon again"),
            )
        })?;
        let secret = Arc::new(secret);
        Ok(Self { ledger, clock, secret })
    }

    /// What a token stands for. Its last use is recorded.
    pub(in crate::web) async fn check(&self, token: &str) -> Result<TokenCheck, LedgerError> {
        let Some(found) = self.ledger.token(&sha256_hex(token)).await? else {
            return Ok(TokenCheck::Unknown);
        };
        Ok(self.used(TokenCheck::of(found, self.clock.unix_time())).await)
    }

    /// Creates a session for the holder of a token. It ends with the token, at the latest after a week.
    pub(in crate::web) fn session(&self, token: &AccessToken) -> BrowserSession {
        let until = (self.clock.unix_time() + SESSION).as_secs();
        BrowserSession { name: token.name.clone(), until, tag: self.sign(token, until) }
    }

    /// What a session stands for. Its token's last use is recorded.
    pub(in crate::web) async fn check_session(
        &self,
        session: &BrowserSession,
    ) -> Result<TokenCheck, LedgerError> {
        let now = self.clock.unix_time();
        if now.as_secs() >= session.until {
            return Ok(TokenCheck::Unknown);
        }
        let Ok(tag) = HEXLOWER.decode(session.tag.as_bytes()) else { return Ok(TokenCheck::Unknown) };
        let signed = |token: &AccessToken| {
            // The comparison takes the same time whatever differs.
            self.mac(token, session.until).is_some_and(|mac| mac.verify_slice(&tag).is_ok())
        };
        let found = self.ledger.tokens_of(&session.name).await?.into_iter().find(signed);
        let state = found.map_or(TokenCheck::Unknown, |token| TokenCheck::of(token, now));
        Ok(self.used(state).await)
    }

    async fn used(&self, state: TokenCheck) -> TokenCheck {
        // A ledger that cannot be written does not lock out those who want to see why.
        if let TokenCheck::Active(token) = &state
            && let Err(error) = self.ledger.use_token(token).await
        {
            tracing::debug!("could not record the use of a token: {error}");
        }
        state
    }

    /// The signature of a session. It covers the token's hash, so it holds for this token alone.
    fn sign(&self, token: &AccessToken, until: u64) -> String {
        let mac = self.mac(token, until);
        mac.map(|mac| HEXLOWER.encode(&mac.finalize().into_bytes())).unwrap_or_default()
    }

    fn mac(&self, token: &AccessToken, until: u64) -> Option<Hmac<Sha256>> {
        let text = format!("session {} {until} {}", token.name, token.hash);
        // HMAC accepts a key of any length.
        Hmac::<Sha256>::new_from_slice(&self.secret[..]).ok().map(|mac| mac.chain_update(text))
    }
}
