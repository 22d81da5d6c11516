//! Encrypts a token for storage where others can read it. The key is derived from the app's client secret.
//!
//! A reader that knows the secret could fetch a token anyway. A reader that has only the ciphertext learns nothing, as
//! long as the secret cannot be guessed.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

/// Names this format, so that a later format has other keys.
const SALT: &[u8] = b"mooncast, an app's token, 1";
/// The length of a cipher's name, in bytes.
const NAME: usize = 15;

/// Encrypts and decrypts the tokens of one app, client and secret.
pub(super) struct TokenCipher {
    key: LessSafeKey,
    name: String,
    /// The app and the client. A token that is moved to another app cannot be decrypted there.
    of: Vec<u8>,
}

/// The length of a key, in bytes.
struct KeyLength(usize);

impl KeyType for KeyLength {
    fn len(&self) -> usize {
        self.0
    }
}

impl TokenCipher {
    /// The cipher for the app with this key and the client `id`; `None` if the cryptography library fails.
    pub(super) fn new(app: &str, id: &str, secret: &SecretString) -> Option<Self> {
        let of = [app.as_bytes(), id.as_bytes()].join(&0);
        let root = Salt::new(HKDF_SHA256, SALT).extract(secret.expose_secret().as_bytes());
        let key = [b"key".as_slice(), &of];
        let key = UnboundKey::from(root.expand(&key, &CHACHA20_POLY1305).ok()?);
        let mut name = [0; NAME];
        root.expand(&[b"name", &of], KeyLength(NAME)).ok()?.fill(&mut name).ok()?;
        Some(Self { key: LessSafeKey::new(key), name: URL_SAFE_NO_PAD.encode(name), of })
    }

    /// Identifies the secret without revealing anything about it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn seal(&self, mut text: Vec<u8>) -> Option<String> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).ok()?;
        let of = Aad::from(&self.of);
        self.key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), of, &mut text).ok()?;
        Some(URL_SAFE_NO_PAD.encode([nonce.as_slice(), &text].concat()))
    }

    /// Decrypts a token; `None` if it was encrypted with another secret, or changed.
    pub(super) fn open(&self, sealed: &str) -> Option<Zeroizing<Vec<u8>>> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, text) = bytes.split_at_checked(NONCE_LEN)?;
        let mut text = Zeroizing::new(text.to_vec());
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let opened = self.key.open_in_place(nonce, Aad::from(&self.of), &mut text).ok()?.len();
        text.truncate(opened);
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cipher(app: &str, id: &str, secret: &str) -> TokenCipher {
        TokenCipher::new(app, id, &secret.into()).unwrap()
    }

    #[test]
    fn only_the_same_secret_of_the_same_app_opens_it() {
        let own = cipher("http://service/org/app", "id", "secret");
        let sealed = own.seal(b"CANARY-token".to_vec()).unwrap();
        assert_eq!(own.open(&sealed).unwrap().as_slice(), b"CANARY-token");
        assert_eq!(
            cipher("http://service/org/app", "id", "secret").open(&sealed).unwrap().as_slice(),
            b"CANARY-token"
        );
        assert_ne!(own.seal(b"CANARY-token".to_vec()).unwrap(), sealed);
        for other in [
            cipher("http://service/org/app", "id", "other"),
            cipher("http://service/org/app", "di", "secret"),
            cipher("http://service/org/ap", "pid", "secret"),
        ] {
            assert_eq!(other.open(&sealed), None);
            assert_ne!(other.name(), own.name());
        }
    }

    #[test]
    fn what_was_changed_does_not_open() {
        let cipher = cipher("app", "id", "secret");
        let sealed = cipher.seal(b"token".to_vec()).unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(&sealed).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(cipher.open(&URL_SAFE_NO_PAD.encode(changed)), None);
        }
        for nonsense in ["", "x", "not base64!", &sealed[..20]] {
            assert_eq!(cipher.open(nonsense), None);
        }
    }
}
