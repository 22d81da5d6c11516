//! The tokens that an Agora app makes with its App Certificate: version 007 of Agora's format.

use std::io::Read;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::ZlibDecoder;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use super::refusal::{CORRUPT_TOKEN, NO_TOKEN, Refusal, UNKNOWN_TOKEN};

/// What the token of an Agora app begins with.
pub(super) const VERSION: &str = "007";

/// The longest lifetime of a token.
const LONGEST_LIFE: u32 = 24 * 3600;
/// The numbers of the services in a token, and that of the privilege of an app in Chat.
const RTC: u16 = 1;
const RTM: u16 = 2;
const CHAT: u16 = 5;
const APP: u16 = 2;
/// The most bytes of an inflated token.
const TOKEN_BYTES: u64 = 4096;

/// An App ID with its App Certificate.
#[derive(Debug, Clone)]
pub struct AgoraApp {
    /// 32 hex digits.
    pub app_id: String,
    /// 32 hex digits.
    pub certificate: SecretString,
}

impl AgoraApp {
    /// Checks that the app made this token of its certificate, for all calls of the app, and that it is valid now.
    /// Returns its end, as the time since 1970.
    pub(super) fn check(&self, token: &str, now: Duration) -> Result<Duration, Refusal> {
        let content = inflate(token).ok_or(CORRUPT_TOKEN)?;
        let mut signed = TokenReader(&content);
        let signature = signed.bytes().ok_or(CORRUPT_TOKEN)?;
        let fields = AppToken::read(&mut TokenReader(signed.0)).ok_or(CORRUPT_TOKEN)?;
        let certificate = self.certificate.expose_secret().as_bytes();
        let is_signed = mac(&fields.issued_at.to_le_bytes(), certificate)
            .and_then(|key| mac(&fields.salt.to_le_bytes(), &key.finalize().into_bytes()))
            .and_then(|key| mac(&key.finalize().into_bytes(), signed.0))
            .is_some_and(|mac| mac.verify_slice(signature).is_ok());
        if !is_signed || fields.app_id != self.app_id.as_bytes() || fields.expire > LONGEST_LIFE {
            return Err(UNKNOWN_TOKEN);
        }
        let end = Duration::from_secs(u64::from(fields.issued_at) + u64::from(fields.expire));
        if now < end { Ok(end) } else { Err(NO_TOKEN) }
    }
}

/// The signed fields of an app's token.
struct AppToken<'a> {
    app_id: &'a [u8],
    issued_at: u32,
    /// The lifetime in seconds: the lower one of the token's and of its privilege's.
    expire: u32,
    salt: u32,
}

impl<'a> AppToken<'a> {
    /// `None` unless the token has the privilege of an app in Chat and names no user there. It may hold rights for calls
    /// (RTC) and signalling (RTM) beside it.
    fn read(fields: &mut TokenReader<'a>) -> Option<Self> {
        let app_id = fields.bytes()?;
        let [issued_at, expire, salt] = [fields.u32()?, fields.u32()?, fields.u32()?];
        let mut of_app = None;
        for _ in 0..fields.u16()? {
            let service = fields.u16()?;
            for _ in 0..fields.u16()? {
                let (privilege, expire) = (fields.u16()?, fields.u32()?);
                if (service, privilege) == (CHAT, APP) {
                    of_app = Some(expire);
                }
            }
            match service {
                // The channel and the user.
                RTC => drop((fields.bytes()?, fields.bytes()?)),
                RTM => drop(fields.bytes()?),
                CHAT if fields.bytes()?.is_empty() => {}
                _ => return None,
            }
        }
        let expire = expire.min(of_app.filter(|_| fields.0.is_empty())?);
        Some(Self { app_id, issued_at, expire, salt })
    }
}

/// Bytes that are read field by field.
struct TokenReader<'a>(&'a [u8]);

impl<'a> TokenReader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let count = self.u16()?;
        self.take(count.into())
    }
}

fn inflate(token: &str) -> Option<Vec<u8>> {
    let compressed = STANDARD.decode(token.strip_prefix(VERSION)?).ok()?;
    let mut content = Vec::new();
    ZlibDecoder::new(&*compressed).take(TOKEN_BYTES).read_to_end(&mut content).ok()?;
    Some(content)
}

fn mac(key: &[u8], message: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(message);
    Some(mac)
}
