//! Broadcasts.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::{ApprovalView, ChangesView, WaitView};
use crate::control::verification_text;
use crate::core::{BroadcastStatus, HistoryResult, RecipientState, unix_time, utc};
use crate::delivery::{BroadcastWait, DriverStatus, WaitKind};
use crate::language::Reason;
use crate::ledger::{
    Broadcast, BroadcastCommand, BroadcastId, CorrectedRun, Ledger, LedgerError, ReaderCounts,
    RecipientCounts,
};
use crate::reconcile::{AwaitedFile, BroadcastOutlook, Verification, look};
use crate::schedule::run_id;

impl PartialSchema for RecipientCounts {
    fn schema() -> RefOr<Schema> {
        let names = std::iter::once("total").chain(RecipientState::ALL.map(RecipientState::name));
        let counts = names
            .fold(ObjectBuilder::new(), |counts, name| counts.property(name, u64::schema()).required(name));
        counts.into()
    }
}

impl ToSchema for RecipientCounts {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("CountsView")
    }
}

/// A broadcast and its current state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BroadcastView {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Its run.
    pub run: String,
    /// The broadcast whose messages it edits, as NAME/RUN.
    pub corrects: Option<String>,
    /// The app that sends it: address, org and name.
    pub app: String,
    /// `building`, `ready`, `awaiting_approval`, `interrupted` (no process drives it), `paused`, `cancelling`, `finished` or `cancelled`.
    pub state: BroadcastStatus,
    /// Whether nothing is left to send.
    pub over: bool,
    /// Why it is paused or cancelled, if a reason is known.
    pub note: Option<String>,
    /// The code and the parameters of the note, if Mooncast wrote it.
    #[serde(default)]
    pub reason: Option<Reason>,
    /// Its approval, if it needs one.
    #[serde(default)]
    pub approval: Option<ApprovalView>,
    /// The changed inputs, if it is paused because of them.
    pub changes: Option<ChangesView>,
    /// The process that sends it, if there is one.
    pub driven_by: Option<String>,
    /// Its recipients by state.
    pub counts: RecipientCounts,
    /// What its recipients in doubt wait for. Only for a single broadcast that has some.
    pub doubts: Option<DoubtsView>,
    /// Which of its sent messages the service has a record of, if it was verified.
    pub verification: Option<VerificationView>,
    /// The number of dropped duplicates: each recipient gets the message once.
    pub duplicates: u64,
    /// The size of the largest message, in bytes that count towards the limit.
    pub largest_message_bytes: u64,
    /// The plan's hash, once it is fixed.
    pub plan: Option<String>,
    /// The recent rate in recipients per second, if it is known.
    pub rate: Option<f64>,
    /// The maximum rate per second: its own rate, or that of its quota.
    pub most: Option<f64>,
    /// The remaining time in seconds, if it is known.
    pub seconds_left: Option<f64>,
    /// The expected end, if it is known.
    pub expected_end: Option<String>,
    /// Why it waits.
    pub waits_for: Option<WaitView>,
    /// When it was created.
    pub created_at: String,
    /// When its plan was fixed.
    pub planned_at: Option<String>,
    /// When it ended.
    pub finished_at: Option<String>,
    /// The ids of the job runs that made or continued it or found it sent, the oldest first, at most 10. Only for a single broadcast.
    #[serde(default)]
    pub job_runs: Vec<String>,
}

/// The most job runs that a broadcast is shown with.
const RUNS: u32 = 10;

impl From<&Broadcast> for BroadcastView {
    /// The view without the values that only the driver knows.
    fn from(broadcast: &Broadcast) -> Self {
        Self {
            id: broadcast.id.0,
            name: broadcast.name.clone(),
            run: broadcast.run.clone(),
            corrects: broadcast.spec.corrects.as_ref().map(CorrectedRun::full_name),
            app: broadcast.app_key.clone(),
            state: broadcast.status(),
            over: broadcast.is_over(),
            note: broadcast.command_note.clone(),
            reason: broadcast.command_note.as_deref().and_then(Reason::of),
            approval: ApprovalView::of(broadcast),
            changes: broadcast
                .shown_changes()
                .map(|changes| ChangesView::of(&changes, broadcast.spec.recipients())),
            driven_by: broadcast.driver.as_ref().map(|driver| {
                let instance = &driver.instance;
                format!("{} (process {})", instance.name, instance.pid)
            }),
            counts: broadcast.counts,
            doubts: None,
            verification: broadcast
                .report
                .as_deref()
                .and_then(Verification::of_report)
                .map(VerificationView::from),
            duplicates: broadcast.duplicates,
            largest_message_bytes: broadcast.largest_message_bytes,
            plan: broadcast.plan.clone(),
            rate: None,
            most: None,
            seconds_left: None,
            expected_end: None,
            waits_for: None,
            created_at: utc(broadcast.created_at),
            planned_at: broadcast.planned_at.map(utc),
            finished_at: broadcast.finished_at.map(utc),
            job_runs: Vec::new(),
        }
    }
}

impl BroadcastView {
    /// Whether it waits for an approval.
    pub fn awaits_approval(&self) -> bool {
        self.approval.as_ref().is_some_and(|approval| approval.awaited)
    }

    /// The current view, with the status that its drivers reported to the ledger. `now` is since 1970. The result
    /// is the same whatever process drives the broadcast.
    pub fn standing(broadcast: &Broadcast, statuses: Vec<DriverStatus>, now: Duration) -> Self {
        let mut view = Self::from(broadcast);
        if broadcast.is_over() {
            return view;
        }
        if broadcast.command == BroadcastCommand::Pause {
            let note = broadcast.command_note.clone();
            view.waits_for =
                Some(WaitView::new(&BroadcastWait { note, ..BroadcastWait::of(WaitKind::Resume) }, now));
        } else if broadcast.awaits_approval() && broadcast.command == BroadcastCommand::Run {
            view.waits_for = Some(WaitView::of(WaitKind::Approval));
        } else if broadcast.is_interrupted() {
            view.waits_for = Some(WaitView::of(WaitKind::Driver));
        }
        let driven = broadcast.driver.is_some();
        let Some(status) = DriverStatus::together(statuses).filter(|_| driven) else { return view };
        view.rate = status.rate;
        view.most = Some(status.most);
        if view.waits_for.is_none() {
            view.waits_for = status.wait.map(|wait| WaitView::new(&wait, now));
            view.seconds_left = status.ends_at.map(|ends| ends.saturating_sub(now).as_secs_f64());
            view.expected_end = status.ends_at.map(utc);
        }
        view
    }
}

/// The history files that a view names.
const FILES: usize = 24;

/// The current views of some broadcasts, from the ledger.
pub async fn standing(
    ledger: &Ledger,
    broadcasts: &[Broadcast],
    now: Duration,
) -> Result<Vec<BroadcastView>, LedgerError> {
    let one = match broadcasts {
        [one] => Some(one.id),
        _ => None,
    };
    let mut statuses: HashMap<BroadcastId, Vec<DriverStatus>> = HashMap::new();
    if broadcasts.iter().any(|broadcast| !broadcast.is_over()) {
        for (id, status) in ledger.driver_statuses(one).await? {
            // A status that another version wrote may not parse; it is ignored.
            statuses.entry(id).or_default().extend(serde_json::from_str::<DriverStatus>(&status));
        }
    }
    let stands =
        |one: &Broadcast| BroadcastView::standing(one, statuses.remove(&one.id).unwrap_or_default(), now);
    let mut views: Vec<BroadcastView> = broadcasts.iter().map(stands).collect();
    if let ([one], [view]) = (broadcasts, views.as_mut_slice()) {
        let runs = ledger.runs_of_broadcast(one.id, RUNS).await?;
        view.job_runs = runs.iter().map(|(job, at)| run_id(job, *at)).collect();
    }
    if let ([one], [view]) = (broadcasts, views.as_mut_slice())
        && one.counts.in_doubt > 0
    {
        let outlook = look(ledger, one.app, now).await?;
        let mut doubts: DoubtsView = outlook.broadcasts.get(&one.id).copied().unwrap_or_default().into();
        let files = outlook.files.get(&one.id).into_iter().flatten();
        doubts.files = files.take(FILES).map(HistoryFileView::from).collect();
        view.doubts = Some(doubts);
    }
    Ok(views)
}

/// What the recipients in doubt of a broadcast wait for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DoubtsView {
    /// How many may still be settled by a record of the service.
    pub waiting: u64,
    /// When the service's records are complete at the latest, if some are awaited.
    pub until: Option<String>,
    /// How many the service did not accept, by its history.
    pub absent: u64,
    /// How many no record will settle, so that a person has to.
    pub open: u64,
    /// The service's history files of a broadcast that may still settle them: the first 24, in order. Empty for a single
    /// send.
    pub files: Vec<HistoryFileView>,
}

/// A history file of the service: its records of one hour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HistoryFileView {
    /// When its hour began.
    pub hour: String,
    /// When the service was asked for it last.
    pub asked_at: Option<String>,
    /// What came of that: `whole`, `no_file`, `failed`, `broken`, `other_hours`, `empty`; `asked` if it is not known. Only
    /// a whole file proves that a message did not arrive, and only 24 hours after its hour.
    #[schema(value_type = Option<HistoryResult>)]
    pub result: Option<String>,
    /// When a daemon, or the run that sends the broadcast, asks for it next. Absent if it does not.
    pub next_at: Option<String>,
}

impl From<&AwaitedFile> for HistoryFileView {
    fn from(file: &AwaitedFile) -> Self {
        Self {
            hour: utc(file.hour),
            asked_at: file.asked.map(|(at, _)| utc(at)),
            result: file.asked.map(|(_, result)| result.name().to_owned()),
            next_at: file.next.map(utc),
        }
    }
}

impl From<BroadcastOutlook> for DoubtsView {
    fn from(outlook: BroadcastOutlook) -> Self {
        let BroadcastOutlook { waiting, until, absent, open, .. } = outlook;
        Self { waiting, until: until.map(utc), absent, open, files: Vec::new() }
    }
}

/// Which sent messages of a broadcast the service has a record of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VerificationView {
    /// When it was verified.
    pub at: String,
    /// How many messages have a record.
    pub verified: u64,
    /// How many have none in the complete history. Most likely moderation stopped them after the service's answer.
    pub missing: u64,
    /// Of how many nothing is known yet.
    pub unknown: u64,
    /// The groups of the first missing messages, 20 at most.
    pub first_missing: Vec<String>,
    /// The same as a sentence.
    pub text: String,
}

impl From<Verification> for VerificationView {
    fn from(verified: Verification) -> Self {
        let text = verification_text(&verified);
        let Verification { at_ms, verified, missing, unknown, first_missing, .. } = verified;
        let at = utc(unix_time(at_ms));
        Self { at, verified, missing, unknown, first_missing, text }
    }
}

/// How many members have read the messages of a broadcast, by the service's read receipts.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ReadersView {
    /// Members that have read a message. A member counts once for each message.
    pub readers: u64,
    /// Messages that at least one member has read.
    pub read: u64,
    /// The part of the sent messages that at least one member has read, from 0 to 1.
    pub share: f64,
    /// The same within 1, 6, 24 and 72 hours after each message, for the times that have passed since the broadcast ended.
    pub over_time: Vec<ReadersWithinView>,
}

/// How many members have read the messages of a broadcast within a time after each message.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ReadersWithinView {
    pub hours: u64,
    pub readers: u64,
    pub read: u64,
    pub share: f64,
}

/// The times within which readers are counted. The service keeps receipts for 3 days.
const READ_WITHIN: [Duration; 4] =
    [Duration::from_hours(1), Duration::from_hours(6), Duration::from_hours(24), Duration::from_hours(72)];

impl ReadersView {
    /// Reads the readers of a broadcast. `None` if no receipt came. `now` is since 1970.
    pub async fn read(
        ledger: &Ledger,
        broadcast: &Broadcast,
        now: Duration,
    ) -> Result<Option<Self>, LedgerError> {
        let ReaderCounts { readers, read } = ledger.readers(broadcast.id).await?;
        if readers == 0 || broadcast.spec.corrects.is_some() {
            return Ok(None);
        }
        let passed = now.saturating_sub(broadcast.finished_at.unwrap_or(now));
        let times: Vec<Duration> = READ_WITHIN.into_iter().filter(|time| *time <= passed).collect();
        let found = ledger.readers_within(broadcast.id, &times).await?;
        let share = |read: u64| read as f64 / broadcast.counts.sent.max(read).max(1) as f64;
        let within = |time: Duration| {
            let counts = found.iter().find(|found| found.within == time).map(|found| found.counts);
            let ReaderCounts { readers, read } = counts.unwrap_or_default();
            ReadersWithinView { hours: time.as_secs() / 3600, readers, read, share: share(read) }
        };
        let over_time = times.iter().copied().map(within).collect();
        Ok(Some(Self { readers, read, share: share(read), over_time }))
    }

    /// The share in whole per cent.
    pub fn percent(&self) -> String {
        percent(self.share)
    }
}

impl ReadersWithinView {
    /// The share in whole per cent.
    pub fn percent(&self) -> String {
        percent(self.share)
    }
}

/// Returns a share in whole per cent. It is 100 only for the whole.
fn percent(share: f64) -> String {
    // A share such as 29 of 100 has no exact form.
    (share * 100.0 + 1e-9).floor().to_string()
}
