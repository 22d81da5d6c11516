//! Tokens: made here, shown once, and known from then on by their hashes.

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

/// The bytes of chance in a token.
const CHANCE: usize = 32;

/// For how long a browser is known by its cookie.
const SESSION: Duration = Duration::from_hours(7 * 24);

/// A token that nobody has yet.
pub struct NewToken {
    /// What its holder may do.
    pub role: TokenRole,
    /// The token, to be shown once.
    pub token: SecretString,
    /// What the ledger keeps of it.
    pub hash: String,
}

impl fmt::Debug for NewToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Minted").field("role", &self.role).finish_non_exhaustive()
    }
}

/// Makes a token.
#[must_use]
pub fn mint(role: TokenRole) -> NewToken {
    let chance: [u8; CHANCE] = rand::random();
    let token = format!("mooncast_{role}_{}", BASE64URL_NOPAD.encode(&chance));
    NewToken { role, hash: hash(&token), token: token.into() }
}

/// As much chance as a token has needs no slow hash.
fn hash(token: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(token))
}

/// The tokens in force.
#[derive(Clone)]
pub(in crate::web) struct ApiTokens {
    ledger: Ledger,
    clock: Clock,
    /// By which hashes are compared, so that how long that takes tells nothing of them.
    key: Arc<[u8; 32]>,
    /// By which sessions are signed.
    secret: Arc<[u8; 32]>,
}

impl ApiTokens {
    /// Those of this ledger; the key of sessions is this machine's own, in `folder`.
    ///
    /// # Errors
    ///
    /// When the key of sessions can neither be read nor made.
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

    /// What the holder of a token may do; none where it is not in force.
    pub(in crate::web) async fn role_of(&self, token: &str) -> Result<Option<TokenRole>, LedgerError> {
        let shown = self.tag(&self.key[..], hash(token).as_bytes());
        let known = self.ledger.tokens().await?;
        let same = |kept: &str| self.tag(&self.key[..], kept.as_bytes()) == shown;
        Ok(known.into_iter().find(|(_, kept)| same(kept)).map(|(role, _)| role))
    }

    /// A session for the holder of the token of a role. It ends when the token is renewed.
    pub(in crate::web) async fn session(
        &self,
        role: TokenRole,
    ) -> Result<Option<BrowserSession>, LedgerError> {
        let until = (self.clock.unix_time() + SESSION).as_secs();
        Ok(self.sign(role, until).await?.map(|tag| BrowserSession { role, until, tag }))
    }

    /// What may be done in a session; nothing where it is over, or none of these.
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

    /// A session's signature. It is of its token too, so that it ends with it.
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
        // A key of any length will do.
        let mac = Hmac::<Sha256>::new_from_slice(key);
        mac.map(|mac| mac.chain_update(text).finalize().into_bytes().to_vec()).unwrap_or_default()
    }
}
