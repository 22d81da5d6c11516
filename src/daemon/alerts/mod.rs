//! Alerts: messages to the operator through a webhook. Delivery is at least once and does not block runs.
//!
//! [`AlertSender::raise`] writes an alert to the ledger and returns. [`AlertSender::run`] posts the alerts in the
//! ledger and retries each until the webhook answers with a status of 200 to 299. The first retry comes after 5 s;
//! the wait doubles each time up to an hour; retries end after three days. After a crash, the next daemon posts
//! what the ledger holds. If the daemon dies between the webhook's answer and its note in the ledger, the alert is
//! posted twice, so receivers should dedup by `key`. A key is sent again only after [`Alert::again_after`].
//!
//! A post is `application/json`:
//!
//! ```json
//! {
//!   "event": "run_failed",                     // or "undelivered", "stale", "quota"
//!   "key": "run_failed digest 2026-11-23T09:00:00Z",
//!   "at": "2026-11-23T09:00:12.5Z",            // when it was raised
//!   "project": "shop",                         // the project's folder
//!   "text": "job `digest`, run 2026-11-23T09:00:00Z: scripts/digest.lua:7: ...",
//!   "next": "mooncast runs show ...",          // what to do, where there is something
//!   "script": "scripts/digest.lua",            // these where they apply
//!   "job": "digest",
//!   "broadcast": "news",
//!   "run": "2026-11-23T09:00:00Z",
//!   "app": "default",
//!   "figures": { "in_doubt": 3 }
//! }
//! ```
//!
//! With `[alerts] secret`, the header `X-Mooncast-Signature` is `sha256=` followed by the HMAC-SHA256 of the body
//! in hexadecimal.

mod alert;
mod quota;

pub use alert::Alert;

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use rand::Rng;
use secrecy::ExposeSecret;
use serde::Serialize;
use sha2::Sha256;
use tokio::sync::Notify;

use crate::clock::{Clock, Instant};
use crate::config::{AlertKind, AlertSettings};
use crate::ledger::{DueAlert, Ledger};
use crate::message::counted_as;
use crate::run::Webhook;

/// The number of alerts that are posted before the ledger is queried again.
const BATCH: u32 = 16;

/// How long a process holds a batch before another may take it over. Each post takes at most half a minute.
const HOLD: Duration = Duration::from_mins(10);

/// The interval between two polls of the ledger for alerts of other processes, and the wait after a ledger error.
const LOOK: Duration = Duration::from_mins(1);

const FIRST_WAIT: Duration = Duration::from_secs(5);
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// How long the webhook may be unreachable before an alert is dropped.
const PATIENCE: Duration = Duration::from_hours(72);

/// The header that marks a post as an alert. A hook's run that handles such a post raises no alerts.
pub(super) const ALERT_HEADER: &str = "x-mooncast-alert";

/// The maximum number of alerts about the same job, broadcast, script or app within [`MINUTE`]. Further ones are
/// only counted.
const MOST_A_MINUTE: u32 = 10;
const MINUTE: Duration = Duration::from_mins(1);

/// The maximum number of alerts kept in memory while the ledger cannot be written.
const OWED: usize = 1000;

#[derive(Serialize)]
struct AlertPayload<'a> {
    event: AlertKind,
    key: &'a str,
    at: String,
    project: &'a str,
    #[serde(flatten)]
    alert: &'a Alert,
}

/// Writes alerts to the ledger and posts them to the webhook.
#[derive(Debug)]
pub struct AlertSender {
    /// The webhook, if alerts are configured.
    to: RefCell<Option<Rc<AlertTarget>>>,
    ledger: Ledger,
    clock: Clock,
    project: String,
    more: Notify,
    /// Alerts that could not be written to the ledger: key, body, and the time before the key may be sent again.
    owed: RefCell<VecDeque<(String, String, Duration)>>,
    /// By subject: the start of the current minute, the alerts raised in it, and the alerts left out since.
    lately: RefCell<HashMap<String, (Instant, u32, u32)>>,
}

/// The webhook and the alert settings.
#[derive(Debug)]
struct AlertTarget {
    settings: AlertSettings,
    hook: Webhook,
}

impl AlertTarget {
    fn new(settings: AlertSettings, clock: &Clock) -> Result<Self, String> {
        let hook =
            Webhook::new(&settings.url, clock.clone()).map_err(|why| format!("[alerts] url: {why}"))?;
        Ok(Self { settings, hook })
    }
}

impl AlertSender {
    /// Creates a sender that stores alerts in the daemon's ledger. `project` is the project's name in each alert.
    ///
    /// # Errors
    ///
    /// The webhook's address is invalid. The message does not contain the address.
    pub fn new(
        settings: Option<AlertSettings>,
        ledger: Ledger,
        clock: Clock,
        project: String,
    ) -> Result<Self, String> {
        let to = settings.map(|settings| AlertTarget::new(settings, &clock)).transpose()?;
        let to = RefCell::new(to.map(Rc::new));
        Ok(Self {
            to,
            ledger,
            clock,
            project,
            more: Notify::new(),
            owed: RefCell::default(),
            lately: RefCell::default(),
        })
    }

    /// Replaces the alert settings; `None` turns alerts off. Pending alerts go to the new webhook.
    ///
    /// # Errors
    ///
    /// The webhook's address is invalid; the settings stay as they are. The message does not contain the address.
    pub fn set(&self, settings: Option<AlertSettings>) -> Result<(), String> {
        let to = settings.map(|settings| AlertTarget::new(settings, &self.clock)).transpose()?;
        self.to.replace(to.map(Rc::new));
        self.more.notify_one();
        Ok(())
    }

    fn to(&self) -> Option<Rc<AlertTarget>> {
        self.to.borrow().clone()
    }

    /// Raises an alert if its kind is enabled and its key was not sent recently. When this returns, the ledger has
    /// the alert. If the ledger cannot be written, the alert is logged and kept in memory until it can.
    ///
    /// At most ten alerts a minute are raised about one subject. The next alert about it says how many were left
    /// out.
    pub async fn raise(&self, mut alert: Alert) {
        if self.to().is_none_or(|to| !to.settings.events.contains(&alert.kind)) {
            return;
        }
        let key = alert.key();
        match self.left_out(&alert) {
            None => return,
            Some(0) => {}
            Some(more) => {
                alert.text = format!(
                    "{} ({} dropped before this one)",
                    alert.text,
                    counted_as(
                        more.into(),
                        "more alert with this subject was",
                        "more alerts with this subject were"
                    )
                );
            }
        }
        let at = i64::try_from(self.clock.unix_time().as_millis()).unwrap_or(i64::MAX);
        let at = Timestamp::from_millisecond(at).unwrap_or(Timestamp::MAX).to_string();
        let posted = AlertPayload { event: alert.kind, key: &key, at, project: &self.project, alert: &alert };
        let body = match serde_json::to_string(&posted) {
            Ok(body) => body,
            Err(error) => {
                tracing::error!(key, "cannot write the alert as JSON: {error}");
                return;
            }
        };
        match self.ledger.alert_push(&key, &body, alert.again_after).await {
            Ok(true) => tracing::info!(key, "alert raised: {}", alert.text),
            Ok(false) => tracing::debug!(key, "alert not raised: it was raised before"),
            Err(error) => {
                tracing::error!(
                    key,
                    "cannot record the alert in the ledger, retrying: {error}; the alert: {}",
                    alert.text
                );
                let mut owed = self.owed.borrow_mut();
                if owed.len() == OWED {
                    owed.pop_front();
                }
                owed.push_back((key, body, alert.again_after));
            }
        }
        self.more.notify_one();
    }

    /// The number of alerts about the same subject that were left out before this one. `None` if this one is left
    /// out.
    fn left_out(&self, alert: &Alert) -> Option<u32> {
        let now = self.clock.now();
        let about = alert.subject();
        let mut lately = self.lately.borrow_mut();
        lately.retain(|_, (since, _, left)| *left > 0 || now.saturating_since(*since) < MINUTE);
        let (since, raised, left) = lately.entry(about.clone()).or_insert((now, 0, 0));
        if now.saturating_since(*since) >= MINUTE {
            (*since, *raised) = (now, 0);
        }
        if *raised < MOST_A_MINUTE {
            *raised += 1;
            return Some(std::mem::take(left));
        }
        *left += 1;
        if *left == 1 {
            tracing::warn!(
                about,
                "more than {MOST_A_MINUTE} alerts in a minute have this subject; further ones are only counted"
            );
        }
        None
    }

    /// Delivers alerts while it is polled. It may be dropped at any time; the next call finds all that is pending.
    pub async fn run(&self) {
        loop {
            let wait = match self.deliver().await {
                Ok(wait) => wait.min(LOOK),
                Err(error) => {
                    tracing::warn!("cannot read pending alerts from the ledger, retrying: {error}");
                    LOOK
                }
            };
            tokio::select! {
                () = self.clock.sleep(wait) => {}
                () = self.more.notified() => {}
            }
        }
    }

    /// Posts all due alerts, and returns the time until the next one is due.
    async fn deliver(&self) -> Result<Duration, crate::ledger::LedgerError> {
        let Some(to) = self.to() else { return Ok(LOOK) };
        loop {
            let owed = self.owed.borrow().front().cloned();
            let Some((key, body, again_after)) = owed else { break };
            self.ledger.alert_push(&key, &body, again_after).await?;
            self.owed.borrow_mut().pop_front();
        }
        loop {
            let due = self.ledger.alerts_due(BATCH, HOLD).await?;
            if due.is_empty() {
                let next = self.ledger.alert_next_due().await?;
                return Ok(next.map_or(LOOK, |next| next.saturating_sub(self.clock.unix_time())));
            }
            for alert in due {
                self.post(&to, alert).await?;
            }
        }
    }

    async fn post(&self, to: &AlertTarget, alert: DueAlert) -> Result<(), crate::ledger::LedgerError> {
        let DueAlert { id, key, body, raised_at, tries } = alert;
        let mut headers = Vec::new();
        headers.push((ALERT_HEADER, "1".to_owned()));
        if let Some(signature) = to.signature(&body) {
            headers.push(("x-mooncast-signature", signature));
        }
        let host = to.hook.host();
        match to.hook.post(body, &headers).await {
            Ok(()) => {
                tracing::info!(key, tries, "alert delivered to {host}");
                self.ledger.alert_done(id).await
            }
            Err(why) => {
                let now = self.clock.unix_time();
                let wait = backoff(tries);
                if (now + wait).saturating_sub(raised_at) > PATIENCE {
                    tracing::error!(key, tries, "alert dropped: {host} did not accept it for 3 days: {why}");
                    return self.ledger.alert_failed(id, &why, None).await;
                }
                let seconds = wait.as_secs_f64();
                tracing::warn!(
                    key,
                    tries,
                    "cannot deliver the alert to {host}, retrying in {seconds:.0} s: {why}"
                );
                self.ledger.alert_failed(id, &why, Some(now + wait)).await
            }
        }
    }
}

impl AlertTarget {
    fn signature(&self, body: &str) -> Option<String> {
        let secret = self.settings.secret.as_ref()?.expose_secret();
        // HMAC accepts a key of any length.
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
        mac.update(body.as_bytes());
        let digest = mac.finalize().into_bytes();
        Some(format!("sha256={}", data_encoding::HEXLOWER.encode(&digest)))
    }
}

/// The wait after this many attempts: exponential, with random jitter that takes off up to a quarter.
fn backoff(tries: u32) -> Duration {
    let most = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(tries.saturating_sub(1))).min(LONGEST_WAIT);
    most.mul_f64(rand::rng().random_range(0.75..=1.0))
}
