//! Decides which requests a hook accepts: those with its secret. An unknown hook and a wrong secret look the same
//! to the caller.

use std::cell::Cell;
use std::time::Duration;

use axum::http::HeaderMap;
use bytes::Bytes;
use data_encoding::HEXLOWER_PERMISSIVE;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use crate::clock::Instant;
use crate::ledger::{HookAcceptance, NewHookRequest};
use crate::protocol::HookRequest;
use crate::run::GrantedVariables;
use crate::schedule::{Hook, HookScheme, run_name};
use crate::web::daemon_handle::DaemonHandle;

/// Headers that are not passed to the run, because they concern only the host and the sender. The hook's own header
/// is not passed either.
const KEPT: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

/// The minimum time between two log lines about refused requests.
const TOLD_EVERY: Duration = Duration::from_mins(1);

/// A hook's request with its whole body.
pub(in crate::web) struct WebhookPost {
    pub(in crate::web) name: String,
    pub(in crate::web) method: String,
    pub(in crate::web) query: Vec<(String, String)>,
    pub(in crate::web) headers: HeaderMap,
    pub(in crate::web) body: Bytes,
}

/// The result of a request.
pub(in crate::web) enum WebhookReply {
    /// The request is in the ledger; the name of its run.
    Taken(String),
    /// The hook does not exist, or the secret is wrong.
    Unknown,
    /// The header with the delivery's id, which the hook declares, is missing or blank.
    WithoutId(String),
    /// Too many runs are waiting.
    Full,
    /// The ledger cannot be written.
    Unwritten,
}

/// Verifies the requests of hooks.
pub(in crate::web) struct WebhookVerifier {
    /// The key of the HMACs through which texts are compared. For an unknown hook, it stands in for the secret.
    key: [u8; 32],
    refused: Cell<u64>,
    told: Cell<Option<Instant>>,
}

impl WebhookVerifier {
    pub(in crate::web) fn new() -> Self {
        Self { key: rand::random(), refused: Cell::default(), told: Cell::default() }
    }

    pub(in crate::web) async fn decide(&self, house: &DaemonHandle, post: WebhookPost) -> WebhookReply {
        let known = known(house, &post.name);
        // An unknown hook takes the same work, so that the timing reveals nothing.
        let (hook, secret) = match &known {
            Some((hook, secret)) => (Some(hook), secret.expose_secret().as_bytes()),
            None => (None, &self.key[..]),
        };
        let header = hook.map_or("x-signature-256", |hook| &hook.header);
        let mut shown = post.headers.get_all(header).iter();
        let shown =
            shown.next().filter(|_| shown.next().is_none()).map_or(&b""[..], |value| value.as_bytes());
        let signed = signed(secret, shown, &post.body);
        let same = self.same(secret, shown);
        let fits = match hook.map(|hook| hook.scheme) {
            Some(HookScheme::HmacSha256) => signed,
            Some(HookScheme::Token) => same,
            None => false,
        };
        if let Some(hook) = hook.filter(|_| fits) {
            return take(house, hook, post).await;
        }
        self.tell_refused(house, hook.map(|_| post.name.as_str()));
        WebhookReply::Unknown
    }

    /// Whether `shown` is the secret. The comparison of HMACs takes the same time for every text.
    fn same(&self, secret: &[u8], shown: &[u8]) -> bool {
        let bearer = shown.split_at_checked(7).filter(|(word, _)| word.eq_ignore_ascii_case(b"bearer "));
        let token = bearer.map_or(shown, |(_, token)| token);
        let tag = mac(&self.key, token).map(|mac| mac.finalize().into_bytes());
        tag.zip(mac(&self.key, secret)).is_some_and(|(tag, mac)| mac.verify_slice(&tag).is_ok())
    }

    /// Logs refused requests at a limited rate, because anyone can send any number of them.
    fn tell_refused(&self, house: &DaemonHandle, job: Option<&str>) {
        self.refused.set(self.refused.get() + 1);
        let now = house.clock.now();
        if self.told.get().is_some_and(|told| now.saturating_since(told) < TOLD_EVERY) {
            return;
        }
        self.told.set(Some(now));
        let refused = self.refused.take();
        if let Some(job) = job {
            tracing::warn!(job, refused, "a request was refused: its signature or token is wrong");
        } else {
            tracing::warn!(refused, "a request was refused: there is no such hook, or it is not granted");
        }
    }
}

/// The hook of that name and its secret, if the current settings permit both.
fn known(house: &DaemonHandle, name: &str) -> Option<(Hook, SecretString)> {
    let hook = (house.find)(name)?.hook()?.clone();
    let settings = (house.settings)();
    if !settings.permissions.grants_hook(name) {
        return None;
    }
    match GrantedVariables::new(&settings.permissions).secret(&hook.secret) {
        Ok(secret) => Some((hook, secret)),
        Err(why) => {
            tracing::debug!(job = name, "a hook takes nothing: {}", why.message);
            None
        }
    }
}

/// Writes a request to the ledger and logs it.
async fn take(house: &DaemonHandle, hook: &Hook, post: WebhookPost) -> WebhookReply {
    let job = post.name.as_str();
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let delivery = hook.id.as_ref().and_then(|id| post.headers.get(id));
    let delivery = delivery.map(|id| text(id.as_bytes())).filter(|id| !id.trim().is_empty());
    // Without its id, a repeated delivery would look like a new one.
    if let (Some(id), None) = (&hook.id, &delivery) {
        tracing::warn!(
            job,
            header = id.as_str(),
            "a request was refused: the header with its delivery's id is missing or blank"
        );
        return WebhookReply::WithoutId(id.clone());
    }
    let mut headers = Vec::new();
    for name in post.headers.keys().map(axum::http::HeaderName::as_str) {
        if name != hook.header && !KEPT.contains(&name) {
            let values: Vec<String> =
                post.headers.get_all(name).iter().map(|value| text(value.as_bytes())).collect();
            headers.push((name.to_owned(), values.join(", ")));
        }
    }
    let request = HookRequest { method: post.method, query: post.query, headers, body: Bytes::default() };
    let new =
        NewHookRequest { job: job.to_owned(), delivery, head: request.head(), body: post.body.to_vec() };
    match house.ledger.take_hook_request(&new).await {
        Ok(HookAcceptance::New(at)) => {
            let run = run_name(at);
            tracing::info!(job, run, bytes = new.body.len(), "a hook has taken a request");
            (house.nudge)();
            WebhookReply::Taken(run)
        }
        Ok(HookAcceptance::Again(at)) => {
            let run = run_name(at);
            tracing::info!(job, run, "a delivery came again, and runs nothing new");
            WebhookReply::Taken(run)
        }
        Ok(HookAcceptance::Full) => {
            tracing::warn!(job, "a hook takes nothing more: too many requests wait for their runs");
            WebhookReply::Full
        }
        Err(error) => {
            tracing::error!(job, "a hook cannot take a request: {error}");
            WebhookReply::Unwritten
        }
    }
}

/// Whether `shown` is the body's HMAC with the secret.
fn signed(secret: &[u8], shown: &[u8], body: &[u8]) -> bool {
    let hex = shown.strip_prefix(b"sha256=").unwrap_or(shown);
    let tag = HEXLOWER_PERMISSIVE.decode(hex).unwrap_or_default();
    mac(secret, body).is_some_and(|mac| mac.verify_slice(&tag).is_ok())
}

/// An HMAC of a text, not finalized.
fn mac(key: &[u8], text: &[u8]) -> Option<Hmac<Sha256>> {
    // HMAC accepts a key of any length.
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(text);
    Some(mac)
}
