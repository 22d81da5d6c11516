//! API tokens: generated here, shown once, and stored as hashes.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::SecretString;
use sha2::{Digest, Sha256};

use super::{BrowserSession, secret};
use crate::clock::Clock;
use crate::ledger::{Ledger, LedgerError, TokenRole};

/// The random bytes of a token.
const CHANCE: usize = 32;

/// The lifetime of a session cookie.
const SESSION: Duration = Duration::from_hours(7 * 24);

/// A newly generated token.
pub struct NewToken {
    pub role: TokenRole,
    /// The token. It is shown once.
    pub token: SecretString,
    /// The hash that the ledger stores.
    pub hash: String,
}

impl fmt::Debug for NewToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Minted").field("role", &self.role).finish_non_exhaustive()
    }
}

/// Generates a token.
pub fn mint(role: TokenRole) -> NewToken {
    let chance: [u8; CHANCE] = rand::random();
    let token = format!("mooncast_{role}_{}", BASE64URL_NOPAD.encode(&chance));
    NewToken { role, hash: hash(&token), token: token.into() }
}

/// A random token needs no slow hash.
fn hash(token: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(token))
}

/// The valid tokens.
#[derive(Clone)]
pub(in crate::web) struct ApiTokens {
    ledger: Ledger,
    clock: Clock,
    /// The key of the HMACs through which hashes are compared, so that the timing reveals nothing about them.
    key: Arc<[u8; 32]>,
    /// The key that signs sessions.
    secret: Arc<[u8; 32]>,
}

impl ApiTokens {
    /// The tokens of this ledger. The session key is in `folder`, on this machine.
    pub(in crate::web) fn new(ledger: Ledger, folder: &Path, clock: Clock) -> io::Result<Self> {
        let secret = secret::key(folder).map_err(|error| {
            let place = folder.display();
            io::Error::new(
                error.kind(),
                format!("the key of sessions can neither be read nor made in {place} ({error}); see to that, then start again"),
            )
        })?;
        let secret = Arc::new(secret);
        Ok(Self { ledger, clock, key: Arc::new(rand::random()), secret })
    }

    /// The role of a token. `None` if the token is not valid.
    pub(in crate::web) async fn role_of(&self, token: &str) -> Result<Option<TokenRole>, LedgerError> {
        let shown = self.tag(&self.key[..], hash(token).as_bytes());
        let known = self.ledger.tokens().await?;
        let same = |kept: &str| self.tag(&self.key[..], kept.as_bytes()) == shown;
        Ok(known.into_iter().find(|(_, kept)| same(kept)).map(|(role, _)| role))
    }

    /// Creates a session for a role. It ends when the role's token is renewed.
    pub(in crate::web) async fn session(
        &self,
        role: TokenRole,
    ) -> Result<Option<BrowserSession>, LedgerError> {
        let until = (self.clock.unix_time() + SESSION).as_secs();
        Ok(self.sign(role, until).await?.map(|tag| BrowserSession { role, until, tag }))
    }

    /// The role of a session. `None` if the session has expired or is not valid.
    pub(super) async fn role_in(&self, session: &BrowserSession) -> Result<Option<TokenRole>, LedgerError> {
        if self.clock.unix_time().as_secs() >= session.until {
            return Ok(None);
        }
        let tag = self.sign(session.role, session.until).await?;
        let same = |tag: String| {
            self.tag(&self.key[..], tag.as_bytes()) == self.tag(&self.key[..], session.tag.as_bytes())
        };
        Ok(tag.is_some_and(same).then_some(session.role))
    }

    /// The signature of a session. It covers the token's hash, so the session ends with the token.
    async fn sign(&self, role: TokenRole, until: u64) -> Result<Option<String>, LedgerError> {
        let known = self.ledger.tokens().await?;
        let kept = known.into_iter().find(|(of, _)| *of == role);
        Ok(kept.map(|(_, kept)| {
            let text = format!("session {role} {until} {kept}");
            HEXLOWER.encode(&self.tag(&self.secret[..], text.as_bytes()))
        }))
    }

    #[expect(clippy::unused_self, reason = "it reads better where it is used")]
    fn tag(&self, key: &[u8], text: &[u8]) -> Vec<u8> {
        // HMAC accepts a key of any length.
        let mac = Hmac::<Sha256>::new_from_slice(key);
        mac.map(|mac| mac.chain_update(text).finalize().into_bytes().to_vec()).unwrap_or_default()
    }
}
