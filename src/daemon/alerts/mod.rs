//! Alerts: messages to the operator through webhooks. Delivery is at least once and does not block runs.
//!
//! [`AlertSender::raise`] writes an alert to the ledger, once for each receiver that wants it, and returns.
//! [`AlertSender::run`] posts the alerts in the ledger and retries each until the receiver takes it. The first retry comes
//! after 5 s; the wait doubles each time up to an hour; retries end after three days. After a crash, the next daemon posts
//! what the ledger holds. If the daemon dies between the webhook's answer and its note in the ledger, the alert is
//! posted twice, so receivers should dedup by `key`. A key is sent again only after [`Alert::again_after`].
//!
//! `format` makes the posts of group chats. A post of Mooncast's own format is `application/json`:
//!
//! ```json
//! {
//!   "event": "run_failed",                     // or another AlertKind
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
mod format;
mod quota;
mod receiver;
mod text;
mod trial;
mod unclaimed;

pub use alert::{Alert, AlertSubject};
pub(super) use receiver::ALERT_HEADER;
pub use text::AlertText;
pub use trial::{AlertTest, test_alerts};

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use rand::Rng;
use serde::Serialize;
use tokio::sync::watch;

use crate::clock::{Clock, Instant};
use crate::config::{AlertKind, AlertSettings};
use crate::ledger::{AlertAddress, DueAlert, Ledger, LedgerError};
use receiver::AlertReceiver;

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

/// The maximum number of alerts about the same job, broadcast, script or app within [`MINUTE`]. Further ones are
/// only counted.
const MOST_A_MINUTE: u32 = 10;
const MINUTE: Duration = Duration::from_mins(1);

/// The maximum number of alerts kept in memory while the ledger cannot be written.
const MAX_UNSTORED: usize = 1000;

/// What the ledger stores of an alert, and what a receiver of Mooncast's own JSON gets.
#[derive(Serialize)]
struct AlertPayload<'a> {
    event: AlertKind,
    key: &'a str,
    at: &'a str,
    project: &'a str,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    #[serde(flatten)]
    subject: &'a AlertSubject,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    figures: &'a BTreeMap<&'static str, u64>,
}

/// An alert for the ledger.
#[derive(Debug, Clone)]
struct RaisedAlert {
    receiver: AlertAddress,
    key: String,
    body: String,
    /// The time before the key may be sent again.
    again_after: Duration,
}

/// Writes alerts to the ledger and posts them to their receivers.
#[derive(Debug)]
pub struct AlertSender {
    receivers: RefCell<Vec<Rc<AlertReceiver>>>,
    ledger: Ledger,
    clock: Clock,
    project: String,
    /// Changes when an alert was raised, and when the receivers were replaced.
    raised: watch::Sender<u64>,
    replaced: watch::Sender<()>,
    /// Alerts that could not be written to the ledger.
    unstored: RefCell<VecDeque<RaisedAlert>>,
    /// By subject: the start of the current minute, the alerts raised in it, and the alerts left out since.
    lately: RefCell<HashMap<String, (Instant, u32, u32)>>,
    /// Names of receivers that the settings do not have, and that the log has named already.
    unclaimed: RefCell<BTreeSet<String>>,
}

impl AlertSender {
    /// Creates a sender that stores alerts in the daemon's ledger. `project` is the project's name in each alert.
    ///
    /// # Errors
    ///
    /// A webhook's address is invalid. The message does not contain the address.
    pub fn new(
        settings: Vec<AlertSettings>,
        ledger: Ledger,
        clock: Clock,
        project: String,
    ) -> Result<Self, String> {
        let receivers = RefCell::new(receivers_of(settings, &clock)?);
        Ok(Self {
            receivers,
            ledger,
            clock,
            project,
            raised: watch::Sender::new(0),
            replaced: watch::Sender::new(()),
            unstored: RefCell::default(),
            lately: RefCell::default(),
            unclaimed: RefCell::default(),
        })
    }

    /// Replaces the receivers; without any, alerts are off. Pending alerts go to the receiver that now has their receiver's
    /// name, or else its URL. Others wait for three days for such a receiver.
    ///
    /// # Errors
    ///
    /// A webhook's address is invalid; the receivers stay as they are. The message does not contain the address.
    pub fn set(&self, settings: Vec<AlertSettings>) -> Result<(), String> {
        self.receivers.replace(receivers_of(settings, &self.clock)?);
        self.replaced.send_replace(());
        Ok(())
    }

    /// Raises an alert for each receiver that wants its kind, if its key was not sent there recently. When this returns,
    /// the ledger has the alert. If the ledger cannot be written, the alert is logged and kept in memory until it can.
    ///
    /// At most ten alerts a minute are raised about one subject. The next alert about it says how many were left
    /// out.
    pub async fn raise(&self, alert: Alert) {
        let receivers = self.receivers.borrow().clone();
        let wants = |receiver: &&Rc<AlertReceiver>| receiver.settings.events.contains(&alert.kind);
        if receivers.iter().find(wants).is_none() {
            return;
        }
        let Some(left_out) = self.left_out(&alert) else { return };
        let (key, at) = (alert.key(), now(&self.clock));
        for receiver in receivers.iter().filter(wants) {
            let language = &receiver.settings.language;
            let mut text = alert.say(*language);
            if left_out > 0 {
                let values = [("text", text), ("n", left_out.to_string())];
                text = AlertText::named("dropped_before", values).say(*language);
            }
            let payload = AlertPayload {
                event: alert.kind,
                key: &key,
                at: &at,
                project: &self.project,
                text,
                next: alert.next.as_ref().map(|next| next.say(*language)),
                subject: &alert.subject,
                figures: &alert.figures,
            };
            match serde_json::to_string(&payload) {
                Ok(body) => {
                    let (receiver, key, again_after) =
                        (receiver.address.clone(), key.clone(), alert.again_after);
                    self.store(RaisedAlert { receiver, key, body, again_after }, &payload.text).await;
                }
                Err(error) => tracing::error!(key, "cannot write the alert as JSON: {error}"),
            }
        }
        self.raised.send_modify(|count| *count += 1);
    }

    async fn store(&self, alert: RaisedAlert, text: &str) {
        let RaisedAlert { receiver: address, key, body, again_after } = &alert;
        let receiver = &address.name;
        match self.ledger.alert_push(address, key, body, *again_after).await {
            Ok(true) => tracing::info!(key, receiver, "alert raised: {text}"),
            Ok(false) => tracing::debug!(key, receiver, "alert not raised: it was raised before"),
            Err(error) => {
                tracing::error!(
                    key,
                    receiver,
                    "cannot record the alert in the ledger, retrying: {error}; the alert: {text}"
                );
                let mut unstored = self.unstored.borrow_mut();
                if unstored.len() == MAX_UNSTORED {
                    unstored.pop_front();
                }
                unstored.push_back(alert);
            }
        }
    }

    /// The number of alerts about the same subject that were left out before this one. `None` if this one is left
    /// out.
    fn left_out(&self, alert: &Alert) -> Option<u32> {
        let now = self.clock.now();
        let about = alert.counted_by();
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
        let mut replaced = self.replaced.subscribe();
        loop {
            let receivers = self.receivers.borrow().clone();
            // Each by itself, so that one that does not answer delays no other.
            let delivering = join_all(receivers.iter().map(|receiver| self.keep_delivering(receiver)));
            tokio::select! {
                _ = futures_util::future::join(delivering, self.keep_storing()) => {}
                _ = replaced.changed() => {}
            }
        }
    }

    /// Delivers the alerts of one receiver, for ever.
    async fn keep_delivering(&self, receiver: &AlertReceiver) {
        let mut raised = self.raised.subscribe();
        loop {
            let wait = match self.deliver_to(receiver).await {
                Ok(wait) => wait.min(LOOK),
                Err(error) => {
                    tracing::warn!("cannot read pending alerts from the ledger, retrying: {error}");
                    LOOK
                }
            };
            tokio::select! {
                () = self.clock.sleep(wait) => {}
                _ = raised.changed() => {}
            }
        }
    }

    /// Writes the alerts to the ledger that could not be written at once, for ever.
    async fn keep_storing(&self) {
        let mut raised = self.raised.subscribe();
        loop {
            if let Err(error) = self.store_unstored().await {
                tracing::warn!("cannot record alerts in the ledger, retrying: {error}");
            }
            if let Err(error) = self.adopt().await {
                tracing::warn!("cannot look for alerts without a receiver in the ledger, retrying: {error}");
            }
            tokio::select! {
                () = self.clock.sleep(LOOK) => {}
                _ = raised.changed() => {}
            }
        }
    }

    async fn store_unstored(&self) -> Result<(), LedgerError> {
        let mut stored = false;
        loop {
            let unstored = self.unstored.borrow().front().cloned();
            let Some(RaisedAlert { receiver, key, body, again_after }) = unstored else { break };
            self.ledger.alert_push(&receiver, &key, &body, again_after).await?;
            self.unstored.borrow_mut().pop_front();
            stored = true;
        }
        if stored {
            self.raised.send_modify(|count| *count += 1);
        }
        Ok(())
    }

    /// Posts due alerts to a receiver until none is due, or its posts of a minute are used up. Returns the time until there
    /// may be more to do.
    async fn deliver_to(&self, receiver: &AlertReceiver) -> Result<Duration, LedgerError> {
        let name = &receiver.settings.name;
        loop {
            let wait = receiver.wait();
            if !wait.is_zero() {
                return Ok(wait);
            }
            let due = self.ledger.alerts_due(name, BATCH, HOLD).await?;
            if due.is_empty() {
                let next = self.ledger.alert_next_due(name).await?;
                return Ok(next.map_or(LOOK, |next| next.saturating_sub(self.clock.unix_time())));
            }
            let mut rest = due.as_slice();
            while !rest.is_empty() {
                self.clock.sleep(receiver.wait()).await;
                let bodies: Vec<&str> = rest.iter().map(|alert| alert.body.as_str()).collect();
                let (group, later) = rest.split_at(receiver.group_size(&bodies));
                self.post(receiver, group).await?;
                rest = later;
            }
        }
    }

    async fn post(&self, receiver: &AlertReceiver, alerts: &[DueAlert]) -> Result<(), LedgerError> {
        let bodies: Vec<&str> = alerts.iter().map(|alert| alert.body.as_str()).collect();
        let result = receiver.post(&bodies).await;
        let host = receiver.host();
        // Those of one post are due again together.
        let wait = backoff(alerts.iter().map(|alert| alert.tries).max().unwrap_or(1));
        for DueAlert { id, key, raised_at, tries, .. } in alerts {
            match &result {
                Ok(()) => {
                    tracing::info!(key, tries, "alert delivered to {host}");
                    self.ledger.alert_done(*id).await?;
                }
                Err(why) => {
                    let now = self.clock.unix_time();
                    if (now + wait).saturating_sub(*raised_at) > PATIENCE {
                        tracing::error!(
                            key,
                            tries,
                            "alert dropped: {host} did not accept it for 3 days: {why}"
                        );
                        self.ledger.alert_failed(*id, why, None).await?;
                        continue;
                    }
                    let seconds = wait.as_secs_f64();
                    tracing::warn!(
                        key,
                        tries,
                        "cannot deliver the alert to {host}, retrying in {seconds:.0} s: {why}"
                    );
                    self.ledger.alert_failed(*id, why, Some(now + wait)).await?;
                }
            }
        }
        Ok(())
    }

    /// The shortest time in `after` of the receivers of alerts about quotas; None if there is none.
    fn quota_patience(&self) -> Option<Duration> {
        let receivers = self.receivers.borrow();
        let settings = receivers.iter().map(|receiver| &receiver.settings);
        settings.filter(|one| one.events.contains(&AlertKind::Quota)).map(|one| one.after).min()
    }
}

/// The time as RFC 3339 text.
fn now(clock: &Clock) -> String {
    let at = i64::try_from(clock.unix_time().as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(at).unwrap_or(Timestamp::MAX).to_string()
}

fn receivers_of(settings: Vec<AlertSettings>, clock: &Clock) -> Result<Vec<Rc<AlertReceiver>>, String> {
    settings.into_iter().map(|one| AlertReceiver::new(one, clock).map(Rc::new)).collect()
}

/// The wait after this many attempts: exponential, with random jitter that takes off up to a quarter.
fn backoff(tries: u32) -> Duration {
    let most = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(tries.saturating_sub(1))).min(LONGEST_WAIT);
    most.mul_f64(rand::rng().random_range(0.75..=1.0))
}
