//! Metrics that are read when a scraper asks: the state of quotas, broadcasts, scripts and the ledger.

use std::collections::BTreeMap;

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

use crate::control::HostView;
use crate::core::{BroadcastStatus, Priority};
use crate::delivery::Delivery;
use crate::ledger::{LedgerError, RecipientState, VerifiedCounts};
use crate::web::DaemonHandle;

/// The statuses of broadcasts that do not depend on their drivers.
const BROADCASTS: [BroadcastStatus; 7] = [
    BroadcastStatus::Building,
    BroadcastStatus::Ready,
    BroadcastStatus::AwaitingApproval,
    BroadcastStatus::Paused,
    BroadcastStatus::Cancelling,
    BroadcastStatus::Finished,
    BroadcastStatus::Cancelled,
];

/// The label of an app that is not configured here.
const OTHER: &str = "other";

/// Registers the descriptions of the metrics.
pub(super) fn describe() {
    for (name, what) in [
        ("mooncast_quota_granted_per_second", "The service's limit for a quota, per second."),
        ("mooncast_quota_pace_per_second", "The current rate limit of a quota, per second."),
        ("mooncast_quota_waiters", "Calls waiting for a permit of a quota."),
        ("mooncast_broadcasts", "Broadcasts by state."),
        ("mooncast_recipients", "Recipients of unfinished broadcasts, by state."),
        (
            "mooncast_verified_messages",
            "Sent messages of verified broadcasts, by the result of their latest verification: verified, missing or unknown.",
        ),
        (
            "mooncast_hosts",
            "Daemons that use this ledger, by state: alive, silent (no heartbeat) or with other scripts.",
        ),
        ("mooncast_scripts", "Scripts with an active version."),
        ("mooncast_scripts_stale", "Scripts that failed to load."),
        ("mooncast_ledger_healthy", "1 if the ledger is writable. 0 if it is not; then nothing is sent."),
    ] {
        describe_gauge!(name, what);
    }
    describe_gauge!("mooncast_ledger_size_bytes", Unit::Bytes, "The size of the ledger on disk.");
    describe_counter!("mooncast_quota_used_total", "How much of a quota was used, in the quota's unit.");
    describe_counter!(
        "mooncast_quota_refused_total",
        "How much of the use of a quota the service's rate limit refused, in the quota's unit."
    );
}

/// Reads the current values.
pub(super) async fn look(handle: &DaemonHandle) {
    for app in &handle.apps {
        quotas(app);
    }
    gauge!("mooncast_ledger_healthy").set(if handle.ledger.is_healthy() { 1.0 } else { 0.0 });
    for looked in [size(handle).await, broadcasts(handle).await, scripts(handle).await, hosts(handle).await] {
        if let Err(error) = looked {
            tracing::debug!("some metrics are not current: {error}");
        }
    }
}

async fn size(handle: &DaemonHandle) -> Result<(), LedgerError> {
    gauge!("mooncast_ledger_size_bytes").set(handle.ledger.size().await? as f64);
    Ok(())
}

fn quotas(app: &Delivery) {
    for quota in app.quotas().all() {
        let status = quota.status();
        let labels = [("app", app.name().to_owned()), ("quota", status.name.replace(' ', "_"))];
        gauge!("mooncast_quota_granted_per_second", &labels).set(status.per_second());
        gauge!("mooncast_quota_pace_per_second", &labels).set(status.pace);
        counter!("mooncast_quota_used_total", &labels).absolute(status.written);
        counter!("mooncast_quota_refused_total", &labels).absolute(status.refused);
        for priority in Priority::ALL {
            let waiting = status.waiting.iter().find(|waiting| waiting.priority == priority);
            let [app, quota] = labels.clone();
            gauge!("mooncast_quota_waiters", &[app, quota, ("priority", priority.name().to_owned())])
                .set(waiting.map_or(0, |waiting| waiting.calls) as f64);
        }
    }
}

async fn broadcasts(handle: &DaemonHandle) -> Result<(), LedgerError> {
    let standings = handle.ledger.standings().await?;
    let mut names: Vec<&str> = handle.apps.iter().map(|app| app.name()).collect();
    let (mut many, mut recipients, mut verified) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for standing in &standings {
        let app = handle.apps.iter().find(|app| app.key() == standing.app_key);
        let app = app.map_or(OTHER, |app| app.name());
        if !names.contains(&app) {
            names.push(app);
        }
        let VerifiedCounts { verified: found, missing, unknown } = standing.verified;
        for (result, count) in [("verified", found), ("missing", missing), ("unknown", unknown)] {
            *verified.entry((app, result)).or_insert(0) += count;
        }
        *many.entry((app, standing.state)).or_insert(0) += standing.broadcasts;
        if !standing.over {
            for state in RecipientState::ALL {
                *recipients.entry((app, state.name())).or_insert(0) += standing.recipients.of(state);
            }
        }
    }
    // States without broadcasts are reported as zero.
    for app in names {
        for state in BROADCASTS {
            let count = many.get(&(app, state)).copied().unwrap_or(0);
            gauge!("mooncast_broadcasts", "app" => app.to_owned(), "state" => state.name()).set(count as f64);
        }
        for state in RecipientState::ALL.map(RecipientState::name) {
            let count = recipients.get(&(app, state)).copied().unwrap_or(0);
            gauge!("mooncast_recipients", "app" => app.to_owned(), "state" => state).set(count as f64);
        }
        for result in ["verified", "missing", "unknown"] {
            let count = verified.get(&(app, result)).copied().unwrap_or(0);
            gauge!("mooncast_verified_messages", "app" => app.to_owned(), "result" => result)
                .set(count as f64);
        }
    }
    Ok(())
}

async fn hosts(handle: &DaemonHandle) -> Result<(), LedgerError> {
    let hosts = HostView::all(&handle.ledger.hosts().await?);
    let many = |is: fn(&HostView) -> bool| hosts.iter().filter(|host| is(host)).count() as f64;
    gauge!("mooncast_hosts", "state" => "alive").set(many(|host| host.alive));
    gauge!("mooncast_hosts", "state" => "silent").set(many(|host| !host.alive));
    gauge!("mooncast_hosts", "state" => "differs").set(many(|host| host.alive && host.differs));
    Ok(())
}

async fn scripts(handle: &DaemonHandle) -> Result<(), LedgerError> {
    let scripts = handle.ledger.scripts().await?;
    let active = scripts.iter().filter(|script| script.hash.is_some()).count();
    let stale = scripts.iter().filter(|script| script.error.is_some()).count();
    gauge!("mooncast_scripts").set(active as f64);
    gauge!("mooncast_scripts_stale").set(stale as f64);
    Ok(())
}
