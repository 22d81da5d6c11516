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
use crate::records::{SignatureCheck, SignedFields};
use crate::run::GrantedVariables;
use crate::schedule::{Hook, HookScheme, run_name};
use crate::web::daemon_handle::DaemonHandle;

/// Headers that are not passed to the run, because they concern only the host and the sender. The hook's own header
/// is not passed either.
const KEPT: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

/// The minimum time between two log lines about refused requests.
const LOG_EVERY: Duration = Duration::from_mins(1);

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
    /// A callback of the chat service is in the ledger; the name of its run. None if its timestamp is more than a
    /// day away, so that it starts no run.
    CallbackTaken(Option<String>),
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
    last_logged: Cell<Option<Instant>>,
}

impl WebhookVerifier {
    pub(in crate::web) fn new() -> Self {
        Self { key: rand::random(), refused: Cell::default(), last_logged: Cell::default() }
    }

    pub(in crate::web) async fn decide(&self, handle: &DaemonHandle, post: WebhookPost) -> WebhookReply {
        let known = known(handle, &post.name);
        // An unknown hook takes the same work, so that the timing reveals nothing.
        let (hook, secret) = match &known {
            Some((hook, secret)) => (Some(hook), secret.expose_secret().as_bytes()),
            None => (None, &self.key[..]),
        };
        let header = hook.and_then(|hook| hook.header.as_deref()).unwrap_or("x-signature-256");
        let mut shown = post.headers.get_all(header).iter();
        let shown =
            shown.next().filter(|_| shown.next().is_none()).map_or(&b""[..], |value| value.as_bytes());
        let signed = signed(secret, shown, &post.body);
        let same = self.same(secret, shown);
        let secrets: Vec<_> = known.iter().map(|(_, secret)| secret.clone()).collect();
        let now_ms = i64::try_from(handle.clock.unix_time().as_millis()).unwrap_or(i64::MAX);
        let callback = SignedFields::parse(&post.body).ok();
        let checked =
            callback.as_ref().map_or(SignatureCheck::Forged, |callback| callback.check(&secrets, now_ms));
        let fits = match hook.map(|hook| hook.scheme) {
            Some(HookScheme::HmacSha256) => signed,
            Some(HookScheme::Token) => same,
            Some(HookScheme::Easemob) => checked != SignatureCheck::Forged,
            None => false,
        };
        let Some(accepting) = hook.filter(|_| fits) else {
            self.log_refused(handle, hook.map(|_| post.name.as_str()));
            return WebhookReply::Unknown;
        };
        if accepting.scheme != HookScheme::Easemob {
            return take(handle, accepting, post, None).await;
        }
        if checked == SignatureCheck::Stale {
            let job = post.name.as_str();
            tracing::warn!(job, "callback accepted without a run: its timestamp is more than a day away");
            return WebhookReply::CallbackTaken(None);
        }
        match take(handle, accepting, post, callback.map(|callback| callback.call_id)).await {
            WebhookReply::Taken(run) => WebhookReply::CallbackTaken(Some(run)),
            reply => reply,
        }
    }

    /// Whether `shown` is the secret. The comparison of HMACs takes the same time for every text.
    fn same(&self, secret: &[u8], shown: &[u8]) -> bool {
        let bearer = shown.split_at_checked(7).filter(|(word, _)| word.eq_ignore_ascii_case(b"bearer "));
        let token = bearer.map_or(shown, |(_, token)| token);
        let tag = mac(&self.key, token).map(|mac| mac.finalize().into_bytes());
        tag.zip(mac(&self.key, secret)).is_some_and(|(tag, mac)| mac.verify_slice(&tag).is_ok())
    }

    /// Logs refused requests at a limited rate, because anyone can send any number of them.
    fn log_refused(&self, handle: &DaemonHandle, job: Option<&str>) {
        self.refused.set(self.refused.get() + 1);
        let now = handle.clock.now();
        if self.last_logged.get().is_some_and(|last_logged| now.saturating_since(last_logged) < LOG_EVERY) {
            return;
        }
        self.last_logged.set(Some(now));
        let refused = self.refused.take();
        if let Some(job) = job {
            tracing::warn!(job, refused, "request refused: its signature or token is wrong");
        } else {
            tracing::warn!(
                refused,
                "request refused: there is no such hook, or the script has no permission for it"
            );
        }
    }
}

/// The hook of that name and its secret, if the current settings permit both.
fn known(handle: &DaemonHandle, name: &str) -> Option<(Hook, SecretString)> {
    let hook = (handle.find)(name)?.hook()?.clone();
    let settings = (handle.settings)();
    if !settings.permissions.grants_hook(name) {
        return None;
    }
    match GrantedVariables::new(&settings.permissions).secret(&hook.secret) {
        Ok(secret) => Some((hook, secret)),
        Err(why) => {
            tracing::debug!(job = name, "the hook refuses all requests: {}", why.message);
            None
        }
    }
}

/// Writes a request to the ledger and logs it. `call_id` is the delivery's id if the body has it.
async fn take(
    handle: &DaemonHandle,
    hook: &Hook,
    post: WebhookPost,
    call_id: Option<String>,
) -> WebhookReply {
    let job = post.name.as_str();
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let delivery = hook.id.as_ref().and_then(|id| post.headers.get(id));
    let delivery = delivery.map(|id| text(id.as_bytes())).filter(|id| !id.trim().is_empty());
    // Without its id, a repeated delivery would look like a new one.
    if let (Some(id), None) = (&hook.id, &delivery) {
        tracing::warn!(
            job,
            header = id.as_str(),
            "request refused: the header with the delivery's id is missing or blank"
        );
        return WebhookReply::WithoutId(id.clone());
    }
    let delivery = call_id.or(delivery);
    let mut headers = Vec::new();
    for name in post.headers.keys().map(axum::http::HeaderName::as_str) {
        if Some(name) != hook.header.as_deref() && !KEPT.contains(&name) {
            let values: Vec<String> =
                post.headers.get_all(name).iter().map(|value| text(value.as_bytes())).collect();
            headers.push((name.to_owned(), values.join(", ")));
        }
    }
    let request = HookRequest { method: post.method, query: post.query, headers, body: Bytes::default() };
    let new =
        NewHookRequest { job: job.to_owned(), delivery, head: request.head(), body: post.body.to_vec() };
    match handle.ledger.take_hook_request(&new).await {
        Ok(HookAcceptance::New(at)) => {
            let run = run_name(at);
            tracing::info!(job, run, bytes = new.body.len(), "request accepted");
            (handle.wake)();
            WebhookReply::Taken(run)
        }
        Ok(HookAcceptance::Again(at)) => {
            let run = run_name(at);
            tracing::info!(job, run, "repeated delivery: accepted without a new run");
            WebhookReply::Taken(run)
        }
        Ok(HookAcceptance::Full) => {
            tracing::warn!(job, "request refused: too many requests of this hook are waiting for their runs");
            WebhookReply::Full
        }
        Err(error) => {
            tracing::error!(job, "cannot store the request: {error}");
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
