//! What waits for a person, the most urgent first.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{AppView, BroadcastView, HostView, JobRunView, JobView, QuotaView, ScriptView, SendView};
use crate::control::{amount, rate_text};
use crate::core::utc;
use crate::core::{BroadcastStatus, JobState};
use crate::language::{Language, Reason, Translations};
use crate::ledger::{AppId, BroadcastFilter, JobRun, Ledger, LedgerError, UndeliveredAlerts};
use crate::reconcile::look;
use crate::schedule::script_of;

/// The sentences in English, by `need_` and the code.
pub const NEEDS: &str = include_str!("needs.toml");

static WORDS: LazyLock<Translations> = LazyLock::new(|| Translations::read(NEEDS, NEEDS));

/// The most broadcasts in doubt that are listed.
const BROADCASTS: u64 = 20;

/// Up to this number of doubts in an app, the records are asked which of them they may still settle. More doubts all
/// count as open.
const LOOKED_AT: u64 = 2_000;

/// For how long an alert that was given up is listed.
const DROPPED: Duration = Duration::from_hours(3 * 24);

/// For how long a requested run that failed is listed, and how many at most.
const REQUESTS: Duration = Duration::from_hours(3 * 24);
const MOST_REQUESTS: u32 = 20;

/// The longest error that a sentence quotes, in characters.
const QUOTED: usize = 300;

/// The part of a quota below which the pace counts as lowered.
const LOWERED: f64 = 0.85;

/// What somebody needs to do. In the order of its urgency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NeedCode {
    LedgerUnwritable,
    RestorePending,
    DiskLow,
    AwaitingApproval,
    PausedByItself,
    HeldForChanges,
    Interrupted,
    InDoubt,
    SendsInDoubt,
    ScriptStale,
    RunFailed,
    RunInterrupted,
    RunUndelivered,
    RequestFailed,
    RequestInterrupted,
    RequestUndelivered,
    RunMissed,
    AlertPending,
    AlertDropped,
    HostSilent,
    HostDiffers,
    QuotaLowered,
}

/// Something that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NeedView {
    /// What it is.
    pub code: NeedCode,
    /// The values of its sentence, such as `name`, `n` and `why`. `why` may be a sentence of the ledger in English.
    pub params: BTreeMap<String, String>,
    /// The address on the page where it can be resolved.
    pub page: String,
    /// Since when, if that is known.
    pub since: Option<String>,
    /// The same as an English sentence.
    pub text: String,
}

/// The space of a disk, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskSpace {
    pub free: u64,
    pub total: u64,
}

/// What the ledger alone knows about needs.
#[derive(Debug, Clone, Default)]
pub struct StoredNeeds {
    /// Broadcasts with recipients in doubt that no record will settle: number, full name, how many.
    pub open_doubts: Vec<(i64, String, u64)>,
    /// Alerts that were not delivered.
    pub alerts: Vec<UndeliveredAlerts>,
    /// Runs of scripts that were requested over the page or the API, and failed, were interrupted or did not deliver everything.
    pub requests: Vec<JobRun>,
    /// When the ledger was restored, if nobody has accepted that yet.
    pub restored_at: Option<Duration>,
}

impl StoredNeeds {
    /// Reads them. `now` is since 1970.
    pub async fn read(ledger: &Ledger, now: Duration) -> Result<Self, LedgerError> {
        let filter = BroadcastFilter { in_doubt: true, limit: BROADCASTS, ..BroadcastFilter::default() };
        let doubtful = ledger.list(&filter).await?;
        let apps: BTreeSet<AppId> = doubtful.iter().map(|broadcast| broadcast.app).collect();
        let mut open_doubts = Vec::new();
        for app in apps {
            let outlook = match ledger.count_doubts(app).await? {
                many if many > LOOKED_AT => None,
                _ => Some(look(ledger, app, now).await?),
            };
            for broadcast in doubtful.iter().filter(|broadcast| broadcast.app == app) {
                let open = match &outlook {
                    None => broadcast.counts.in_doubt,
                    Some(outlook) => {
                        let known = outlook.broadcasts.get(&broadcast.id).copied().unwrap_or_default();
                        let seen = known.waiting + known.absent + known.open;
                        // The records can settle nothing of which the time is not known.
                        known.open + known.absent + broadcast.counts.in_doubt.saturating_sub(seen)
                    }
                };
                if open > 0 {
                    open_doubts.push((broadcast.id.0, broadcast.full_name(), open));
                }
            }
        }
        let alerts = ledger.undelivered_alerts(now.saturating_sub(DROPPED)).await?;
        let requests = ledger.failed_requests(now.saturating_sub(REQUESTS), MOST_REQUESTS).await?;
        Ok(Self { open_doubts, alerts, requests, restored_at: ledger.restored_at().await? })
    }
}

/// What needs are found in.
#[derive(Debug)]
pub struct NeedSources<'a> {
    pub healthy: bool,
    /// The disk with the state folder, where it is known.
    pub disk: Option<DiskSpace>,
    pub broadcasts: &'a [BroadcastView],
    pub sends: &'a [SendView],
    pub jobs: &'a [JobView],
    pub scripts: &'a [ScriptView],
    pub hosts: &'a [HostView],
    pub apps: &'a [AppView],
    pub stored: &'a StoredNeeds,
}

impl NeedSources<'_> {
    /// What waits for a person, the most urgent first.
    pub fn needs(&self) -> Vec<NeedView> {
        let mut needs = Vec::new();
        if !self.healthy {
            needs.push(NeedView::new(NeedCode::LedgerUnwritable, "/log?level=error".to_owned(), []));
        }
        needs.extend(self.stored.restored_at.map(of_restore));
        needs.extend(self.disk.and_then(of_disk));
        needs.extend(self.broadcasts.iter().filter_map(of_broadcast));
        let doubts = self.stored.open_doubts.iter();
        needs.extend(doubts.map(|(id, name, open)| {
            let params = [("name", name.clone()), ("n", amount(*open))];
            NeedView::new(NeedCode::InDoubt, format!("/broadcasts/{id}?state=in_doubt#recipients"), params)
        }));
        needs.extend(of_sends(self.sends));
        needs.extend(self.scripts.iter().filter_map(of_script));
        needs.extend(self.jobs.iter().filter_map(of_job));
        needs.extend(self.stored.requests.iter().filter_map(of_request));
        needs.extend(self.stored.alerts.iter().flat_map(of_alerts));
        needs.extend(of_hosts(self.hosts));
        needs.extend(
            self.apps.iter().flat_map(|app| app.quotas.iter().filter_map(|quota| of_quota(app, quota))),
        );
        needs.sort_by_key(|need| need.code);
        needs
    }
}

impl NeedView {
    fn new<const N: usize>(code: NeedCode, page: String, params: [(&str, String); N]) -> Self {
        let text = WORDS.say(Language::English, &code.text_name(), &params).unwrap_or_default();
        let params = params.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self { code, params, page, since: None, text }
    }

    fn since(self, since: Option<String>) -> Self {
        Self { since, ..self }
    }
}

impl NeedCode {
    /// The name of its sentence.
    pub fn text_name(self) -> String {
        let code = serde_json::to_value(self).unwrap_or_default();
        format!("need_{}", code.as_str().unwrap_or_default())
    }
}

/// A broadcast that waits for an operator.
fn of_broadcast(view: &BroadcastView) -> Option<NeedView> {
    let note = view.note.as_deref().unwrap_or_default();
    let page = format!("/broadcasts/{}", view.id);
    let name = ("name", format!("{}/{}", view.name, view.run));
    let need = match view.state {
        BroadcastStatus::Paused if view.changes.is_some() => {
            NeedView::new(NeedCode::HeldForChanges, page, [name])
        }
        BroadcastStatus::Paused if view.awaits_approval() => {
            NeedView::new(NeedCode::AwaitingApproval, page, [name, ("n", amount(view.counts.pending))])
        }
        BroadcastStatus::Paused => {
            let why = Reason::of(note).filter(|reason| reason.code == "paused_by_itself")?;
            NeedView::new(NeedCode::PausedByItself, page, [name, ("why", quoted(why.params.get("why")?))])
        }
        BroadcastStatus::AwaitingApproval => {
            NeedView::new(NeedCode::AwaitingApproval, page, [name, ("n", amount(view.counts.pending))])
        }
        BroadcastStatus::Interrupted => {
            NeedView::new(NeedCode::Interrupted, page, [name, ("n", amount(view.counts.pending))])
        }
        _ => return None,
    };
    Some(need)
}

fn of_sends(sends: &[SendView]) -> Option<NeedView> {
    let open = |send: &&SendView| send.doubts.as_ref().is_none_or(|doubts| doubts.waiting == 0);
    let open: Vec<&SendView> = sends.iter().filter(open).collect();
    let oldest = open.last()?;
    let params = [("n", amount(open.len() as u64))];
    Some(
        NeedView::new(NeedCode::SendsInDoubt, "/#doubts".to_owned(), params)
            .since(Some(oldest.updated_at.clone())),
    )
}

fn of_script(script: &ScriptView) -> Option<NeedView> {
    let params = [("name", script.name.clone()), ("why", quoted(script.error.as_ref()?))];
    Some(
        NeedView::new(NeedCode::ScriptStale, "/#scripts".to_owned(), params)
            .since(script.stale_since.clone()),
    )
}

/// A job whose latest run failed, was interrupted, did not deliver everything, or was missed.
fn of_job(job: &JobView) -> Option<NeedView> {
    let last = job.last.as_ref().filter(|_| job.gone_at.is_none())?;
    let note = last.note.as_deref().unwrap_or_default();
    let code = match last.state {
        JobState::Failed => NeedCode::RunFailed,
        JobState::Interrupted => NeedCode::RunInterrupted,
        JobState::Undelivered if !is_doubt(note) => NeedCode::RunUndelivered,
        JobState::Skipped if is_missed(note) => NeedCode::RunMissed,
        _ => return None,
    };
    let JobRunView { id, finished_at, .. } = last;
    let params = [("name", job.name.clone()), ("why", quoted(note))];
    Some(NeedView::new(code, format!("/run?id={}", in_query(id)), params).since(finished_at.clone()))
}

/// A requested run of a script that failed, was interrupted, or did not deliver everything.
fn of_request(run: &JobRun) -> Option<NeedView> {
    let note = run.note.as_deref().unwrap_or_default();
    let code = match run.state {
        JobState::Failed => NeedCode::RequestFailed,
        JobState::Interrupted => NeedCode::RequestInterrupted,
        JobState::Undelivered if !is_doubt(note) => NeedCode::RequestUndelivered,
        _ => return None,
    };
    let JobRunView { id, finished_at, job, note, .. } = JobRunView::from(run);
    let script = script_of(&job).unwrap_or(&job).to_owned();
    let params = [("name", script), ("why", quoted(&note.unwrap_or_default()))];
    Some(NeedView::new(code, format!("/run?id={}", in_query(&id)), params).since(finished_at))
}

fn of_restore(at: Duration) -> NeedView {
    NeedView::new(NeedCode::RestorePending, "/log?level=error".to_owned(), []).since(Some(utc(at)))
}

/// Whether all that a run did not deliver is in doubt. Doubts are listed on their own until they are settled.
fn is_doubt(note: &str) -> bool {
    let of = Reason::of(note);
    // The note of a run that an event started begins with the event.
    let why = of
        .as_ref()
        .filter(|reason| reason.code.starts_with("event_"))
        .and_then(|reason| reason.params.get("why"));
    why.map_or(note, String::as_str).split("; ").all(|part| {
        Reason::of(part)
            .is_some_and(|reason| matches!(reason.code.as_str(), "run_in_doubt" | "run_calls_in_doubt"))
    })
}

/// Whether a scheduled time was skipped because no daemon ran at that time, and the job did not make up for it.
fn is_missed(note: &str) -> bool {
    let times =
        Reason::of(note).filter(|reason| matches!(reason.code.as_str(), "time_skipped" | "times_skipped"));
    let why = times.as_ref().and_then(|times| Reason::of(times.params.get("why")?));
    why.is_some_and(|why| why.code == "missed_old" || why.code == "missed_skip")
}

fn of_alerts(alerts: &UndeliveredAlerts) -> Vec<NeedView> {
    let of = |code, many: u64| {
        let params = [("name", alerts.receiver.clone()), ("n", amount(many)), ("why", quoted(&alerts.error))];
        let need = NeedView::new(code, "/log?level=warn&text=alert".to_owned(), params);
        (many > 0).then(|| need.since(Some(utc(alerts.since))))
    };
    let needs = [of(NeedCode::AlertPending, alerts.pending), of(NeedCode::AlertDropped, alerts.dropped)];
    needs.into_iter().flatten().collect()
}

fn of_hosts(hosts: &[HostView]) -> Vec<NeedView> {
    let page = || "/#hosts".to_owned();
    let away = hosts.iter().filter(|host| !host.alive).count() as u64;
    let need = |host: &HostView| {
        let name = ("name", host.host.clone());
        if !host.alive {
            let counts = [("n", amount(away)), ("total", amount(hosts.len() as u64))];
            return Some(NeedView::new(
                NeedCode::HostSilent,
                page(),
                [name, counts[0].clone(), counts[1].clone()],
            ));
        }
        host.differs.then(|| NeedView::new(NeedCode::HostDiffers, page(), [name]))
    };
    hosts.iter().filter_map(need).collect()
}

fn of_quota(app: &AppView, quota: &QuotaView) -> Option<NeedView> {
    let lowered = quota.throttled_last_minute > 0 && quota.pace < f64::from(quota.per_second) * LOWERED;
    lowered.then(|| {
        let params = [
            ("name", app.name.clone()),
            ("quota", quota.name.clone()),
            ("pace", rate_text(quota.pace)),
            ("most", amount(quota.per_second.into())),
        ];
        NeedView::new(NeedCode::QuotaLowered, "/#quotas".to_owned(), params)
    })
}

/// A disk with less than a twentieth free, and less than 2 GiB.
fn of_disk(disk: DiskSpace) -> Option<NeedView> {
    let low = disk.free < disk.total / 20 && disk.free < 2 << 30;
    low.then(|| {
        let size = |bytes: u64| format!("{} MiB", amount(bytes >> 20));
        let params = [("free", size(disk.free)), ("total", size(disk.total))];
        NeedView::new(NeedCode::DiskLow, "/log?level=error".to_owned(), params)
    })
}

/// The beginning of an error, on one line.
fn quoted(error: &str) -> String {
    let line = error.lines().next().unwrap_or_default();
    match line.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line.to_owned(),
    }
}

/// A text encoded for a query.
fn in_query(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/');
    let byte = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(byte).collect()
}
