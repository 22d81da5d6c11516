//! Makes the tokens of Agora apps: version 007 of Agora's format, with the one privilege of an app in Chat.

use std::io::Write;
use std::ops::RangeInclusive;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use ring::hmac::{self, HMAC_SHA256, Key, Tag};
use secrecy::{ExposeSecret, SecretString};

/// The lifetime of a token. The service takes no longer one.
pub(super) const LIFETIME_SECONDS: u32 = 24 * 3600;
/// The salts that the vendor's own packages use.
pub(super) const SALTS: RangeInclusive<u32> = 1..=99_999_999;

/// The service "Chat" in a token.
const CHAT: u16 = 5;
/// The privilege in Chat to make all calls of the app.
const APP: u16 = 2;

/// Makes a token that is valid for `expire` seconds from `issued_at`, in seconds since 1970. The certificate signs it.
///
/// `None` if the App ID has more than 65,535 bytes, or the compression library fails.
pub fn agora_token(
    app_id: &str,
    certificate: &SecretString,
    issued_at: u32,
    expire: u32,
    salt: u32,
) -> Option<SecretString> {
    let mut info = with_length(app_id.as_bytes())?;
    for number in [issued_at, expire, salt] {
        info.extend(number.to_le_bytes());
    }
    let (services, privileges) = (1, 1);
    for number in [services, CHAT, privileges, APP] {
        info.extend(number.to_le_bytes());
    }
    info.extend(expire.to_le_bytes());
    // The token of an app names no user.
    info.extend(with_length(b"")?);

    let key = sign(&issued_at.to_le_bytes(), certificate.expose_secret().as_bytes());
    let key = sign(&salt.to_le_bytes(), key.as_ref());
    let mut compressed = ZlibEncoder::new(Vec::new(), Compression::default());
    compressed.write_all(&with_length(sign(key.as_ref(), &info).as_ref())?).ok()?;
    compressed.write_all(&info).ok()?;
    let content = STANDARD.encode(compressed.finish().ok()?);
    Some(SecretString::from(format!("007{content}")))
}

/// The bytes after their number.
fn with_length(bytes: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(bytes.len()).ok()?;
    Some([length.to_le_bytes().as_slice(), bytes].concat())
}

fn sign(key: &[u8], message: &[u8]) -> Tag {
    hmac::sign(&Key::new(HMAC_SHA256, key), message)
}
