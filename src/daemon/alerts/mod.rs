//! Alerts: what people are told through a webhook, at least once each, and never at the expense of a run.
//!
//! [`Alerts::raise`] writes an alert to the ledger, and is done; [`Alerts::run`] posts what is there and tries again
//! until the webhook answers with a status of 200 to 299: after 5 s, then twice as long each time up to an hour, for
//! three days. A daemon that was killed goes on with what its ledger has; one that was killed between the answer and
//! its note posts again, so whoever takes alerts should go by their `key`. A key is told again only
//! after [`Alert::again_after`].
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
//! With `[alerts] secret` the header `X-Mooncast-Signature` is `sha256=` and the HMAC-SHA256 of the body in hexadecimal.

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
use crate::host::Webhook;
use crate::ledger::{DueAlert, Ledger};
use crate::message::counted_as;

/// Alerts that are posted before the ledger is asked again.
const BATCH: u32 = 16;

/// How long a taker of a batch has before others may think that it died: each post takes half a minute at the most.
const HOLD: Duration = Duration::from_mins(10);

/// Between two looks at the ledger for what other processes have put there, and after it failed.
const LOOK: Duration = Duration::from_mins(1);

const FIRST_WAIT: Duration = Duration::from_secs(5);
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// How long a webhook may be out of reach before an alert is given up.
const PATIENCE: Duration = Duration::from_hours(72);

/// The header of a post by which a hook of this same daemon knows an alert: its run raises none.
pub(super) const ALERT_HEADER: &str = "x-mooncast-alert";

/// Alerts about the same job, broadcast, script or app that are raised within [`MINUTE`]; what is more is counted.
const MOST_A_MINUTE: u32 = 10;
const MINUTE: Duration = Duration::from_mins(1);

/// Alerts that are remembered here while the ledger takes none.
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

/// The way to the webhook.
#[derive(Debug)]
pub struct AlertSender {
    /// Where they go, if anywhere now.
    to: RefCell<Option<Rc<AlertTarget>>>,
    ledger: Ledger,
    clock: Clock,
    project: String,
    more: Notify,
    /// What the ledger could not take: key, body, and when the key may be told again.
    owed: RefCell<VecDeque<(String, String, Duration)>>,
    /// By what they are about: when a minute began, alerts raised in it, and left out since.
    lately: RefCell<HashMap<String, (Instant, u32, u32)>>,
}

/// Where alerts go, and which.
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
    /// The way to the webhook of `settings`, by the daemon's ledger. `project` is how its project is called there.
    ///
    /// # Errors
    ///
    /// What is wrong with the address, without the address.
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

    /// Sends alerts to another place from now on, or nowhere; what is not delivered yet goes there too.
    ///
    /// # Errors
    ///
    /// What is wrong with the address, without the address; then nothing is changed.
    pub fn set(&self, settings: Option<AlertSettings>) -> Result<(), String> {
        let to = settings.map(|settings| AlertTarget::new(settings, &self.clock)).transpose()?;
        self.to.replace(to.map(Rc::new));
        self.more.notify_one();
        Ok(())
    }

    fn to(&self) -> Option<Rc<AlertTarget>> {
        self.to.borrow().clone()
    }

    /// Raises an alert if its kind is wanted and its key was not told lately. When this returns, the ledger has it;
    /// what the ledger cannot take is logged and kept in memory until it can.
    ///
    /// At most ten a minute are about the same: the next one tells how many were left out.
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
                    "{} (and {} left out)",
                    alert.text,
                    counted_as(more.into(), "more alert like this was", "more alerts like this were")
                );
            }
        }
        let at = i64::try_from(self.clock.unix_time().as_millis()).unwrap_or(i64::MAX);
        let at = Timestamp::from_millisecond(at).unwrap_or(Timestamp::MAX).to_string();
        let posted = AlertPayload { event: alert.kind, key: &key, at, project: &self.project, alert: &alert };
        let body = match serde_json::to_string(&posted) {
            Ok(body) => body,
            Err(error) => {
                tracing::error!(key, "an alert cannot be written as JSON: {error}");
                return;
            }
        };
        match self.ledger.alert_push(&key, &body, alert.again_after).await {
            Ok(true) => tracing::info!(key, "an alert was raised: {}", alert.text),
            Ok(false) => tracing::debug!(key, "the alert was told before"),
            Err(error) => {
                tracing::error!(key, "an alert waits for the ledger: {error}; {}", alert.text);
                let mut owed = self.owed.borrow_mut();
                if owed.len() == OWED {
                    owed.pop_front();
                }
                owed.push_back((key, body, alert.again_after));
            }
        }
        self.more.notify_one();
    }

    /// How many alerts about the same were left out before this one; none where it is left out itself.
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
                "more than {MOST_A_MINUTE} alerts a minute are about the same: the others are counted"
            );
        }
        None
    }

    /// Delivers, for as long as it is polled. Dropped at any instant, it leaves nothing that the next one does not
    /// find.
    pub async fn run(&self) {
        loop {
            let wait = match self.deliver().await {
                Ok(wait) => wait.min(LOOK),
                Err(error) => {
                    tracing::warn!("alerts wait for the ledger: {error}");
                    LOOK
                }
            };
            tokio::select! {
                () = self.clock.sleep(wait) => {}
                () = self.more.notified() => {}
            }
        }
    }

    /// Posts all that is due; gives how long there is nothing more.
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
                tracing::info!(key, tries, "an alert was delivered to {host}");
                self.ledger.alert_done(id).await
            }
            Err(why) => {
                let now = self.clock.unix_time();
                let wait = backoff(tries);
                if (now + wait).saturating_sub(raised_at) > PATIENCE {
                    tracing::error!(
                        key,
                        tries,
                        "an alert is given up: {host} took it for three days not: {why}"
                    );
                    return self.ledger.alert_failed(id, &why, None).await;
                }
                let seconds = wait.as_secs_f64();
                tracing::warn!(
                    key,
                    tries,
                    "an alert was not delivered to {host}, again in {seconds:.0} s: {why}"
                );
                self.ledger.alert_failed(id, &why, Some(now + wait)).await
            }
        }
    }
}

impl AlertTarget {
    fn signature(&self, body: &str) -> Option<String> {
        let secret = self.settings.secret.as_ref()?.expose_secret();
        // A key of any length is taken.
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
        mac.update(body.as_bytes());
        let digest = mac.finalize().into_bytes();
        Some(format!("sha256={}", data_encoding::HEXLOWER.encode(&digest)))
    }
}

/// The wait after so many tries, between three quarters of it and all.
fn backoff(tries: u32) -> Duration {
    let most = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(tries.saturating_sub(1))).min(LONGEST_WAIT);
    most.mul_f64(rand::rng().random_range(0.75..=1.0))
}
