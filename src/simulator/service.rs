//! The simulator: its state, and its functions for the program around it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::{Method, Request};
use bytes::Bytes;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::Notify;

use super::callback::CallbackQueue;
use super::count::{AnnounceMeter, CallMeter, SECOND};
use super::files::{SimulatorFiles, uuid};
use super::groups::GroupChanges;
use super::record::MessageLog;
use super::time::ClockReading;
use super::token::IssuedTokens;
use super::{
    FaultPlan, ReceivedMessage, ServiceCall, SimulatedResponse, SimulatorSettings, SimulatorTime, Stats,
    UnknownMessageError, UserEvent, history, inspect, page,
};

const MINUTE: Duration = Duration::from_mins(1);

/// A simulated service. Clones share the same state.
#[derive(Clone)]
pub struct Simulator(Arc<SimulatorInner>);

struct SimulatorInner {
    settings: SimulatorSettings,
    time: Box<dyn SimulatorTime>,
    state: Mutex<SimulatorState>,
    /// Wakes the task that posts callbacks.
    callback_queued: Notify,
}

/// The state that changes while the service runs.
#[derive(Debug)]
pub(super) struct SimulatorState {
    pub(super) rng: StdRng,
    pub(super) plan: FaultPlan,
    pub(super) meters: CallMeters,
    pub(super) tokens: IssuedTokens,
    pub(super) files: SimulatorFiles,
    pub(super) groups: GroupChanges,
    pub(super) record: MessageLog,
    pub(super) callbacks: CallbackQueue,
    pub(super) stats: Stats,
    /// The service's own name for the app: a uuid that every answer has.
    pub(super) application: String,
}

/// One meter per rate.
#[derive(Debug)]
pub(super) struct CallMeters {
    pub(super) calls: BTreeMap<ServiceCall, CallMeter>,
    pub(super) group_messages: CallMeter,
    pub(super) targeted: CallMeter,
    pub(super) user_messages: CallMeter,
    pub(super) room_messages: CallMeter,
    pub(super) announce_all: AnnounceMeter,
    pub(super) announce_online: AnnounceMeter,
}

impl CallMeters {
    fn new(settings: &SimulatorSettings) -> Self {
        let limits = &settings.limits;
        let over = |quota, period| CallMeter::new(quota, period, limits.count, limits.whole_calls);
        let meter = |quota| over(quota, SECOND);
        let quota = |call| match call {
            ServiceCall::Send => limits.group_per_second,
            ServiceCall::Upload => limits.upload_per_second,
            ServiceCall::Messages
            | ServiceCall::Download
            | ServiceCall::Groups
            | ServiceCall::Members
            | ServiceCall::GroupDetails
            | ServiceCall::GroupChange
            | ServiceCall::Recall => limits.read_per_second,
            ServiceCall::Rewrite => limits.edit_per_second,
            ServiceCall::Users => limits.user_calls_per_second,
            ServiceCall::Rooms => limits.room_calls_per_second,
            // The vendor's page has no rate for tokens. A targeted call is counted elsewhere, with its own wording.
            ServiceCall::Token
            | ServiceCall::Targeted
            | ServiceCall::AnnounceAll
            | ServiceCall::AnnounceOnline
            | ServiceCall::History
            | ServiceCall::HistoryFile
            | ServiceCall::Callback => None,
        };
        let mut calls: BTreeMap<_, _> =
            ServiceCall::ALL.into_iter().map(|call| (call, meter(quota(call)))).collect();
        calls.insert(ServiceCall::History, over(Some(history::CALLS_PER_MINUTE), MINUTE));
        Self {
            calls,
            group_messages: meter(limits.group_per_second),
            targeted: meter(limits.targeted_per_second),
            user_messages: over(limits.user_messages_per_minute, MINUTE),
            room_messages: meter(limits.room_messages_per_second),
            announce_all: AnnounceMeter::new(limits.announce_all_per_day, MINUTE * 30),
            announce_online: AnnounceMeter::new(limits.announce_online_per_day, MINUTE),
        }
    }
}

impl Simulator {
    /// Returns a service that starts at the current time of `time` and has received nothing.
    pub fn new(settings: SimulatorSettings, time: impl SimulatorTime) -> Self {
        let mut rng = StdRng::seed_from_u64(settings.seed);
        let state = SimulatorState {
            application: uuid(&mut rng),
            rng,
            plan: settings.faults.clone(),
            meters: CallMeters::new(&settings),
            tokens: IssuedTokens::default(),
            files: SimulatorFiles::default(),
            groups: GroupChanges::default(),
            record: MessageLog::new(
                settings.keep,
                settings.stored_messages,
                ClockReading::of(&time).unix_ms(),
            ),
            callbacks: CallbackQueue::new(settings.seed),
            stats: Stats::default(),
        };
        let (state, callback_queued) = (Mutex::new(state), Notify::new());
        Self(Arc::new(SimulatorInner { settings, time: Box::new(time), state, callback_queued }))
    }

    /// From now on, appends one line of JSON to `log` for each message, before its call is answered. Each call makes
    /// one unbuffered write, so the file has every answered message even if this process is killed.
    pub fn log_to(&self, log: File) {
        self.state().record.log_to(log);
    }

    /// Answers one request as if it arrived now: the whole service without a network and without latency.
    ///
    /// Beside the service's calls behind the prefix, `GET /` is a page that shows what was received, and there are `GET /_sim/stats`, `/_sim/received` (the number of
    /// messages of each group), `/_sim/received/{group}` (those messages), `GET` and `PUT /_sim/faults` (the
    /// [`FaultPlan`] as text), `POST /_sim/events` (a [`UserEvent`] as
    /// JSON), `POST /_sim/revoke` (ends every token) and `POST /_sim/reset`. They need no token.
    /// They are not counted, not delayed, and have no faults.
    pub fn handle(&self, request: &Request<Bytes>) -> SimulatedResponse {
        if let Some(path) = request.uri().path().strip_prefix("/_sim/") {
            return SimulatedResponse::Whole(inspect::answer(self, request, path));
        }
        if request.uri().path() == "/" && request.method() == Method::GET {
            return SimulatedResponse::Whole(page::page(self, request));
        }
        let now = ClockReading::of(&*self.0.time);
        let answer = self.state().exchange(&self.0.settings, request, now);
        self.0.callback_queued.notify_one();
        answer
    }

    /// Lets a user of the app act, as `POST /_sim/events` does. Returns the id of a message that the user wrote.
    ///
    /// # Errors
    ///
    /// The message that the user reads is not stored.
    pub fn inject(&self, event: UserEvent) -> Result<Option<String>, UnknownMessageError> {
        let now = ClockReading::of(&*self.0.time);
        let done = self.state().user_event(&self.0.settings, event, now);
        self.0.callback_queued.notify_one();
        done
    }

    /// Returns the number of callbacks that wait for their time.
    pub fn waiting_callbacks(&self) -> usize {
        self.state().callbacks.len()
    }

    /// Returns the settings that the simulator was made with.
    pub fn settings(&self) -> &SimulatorSettings {
        &self.0.settings
    }

    /// Returns all stored messages by recipient (a group's id, `user:ID`, `room:ID`, `announcement:all` or `announcement:online`), in the order of arrival. Empty if only counts are stored.
    pub fn received(&self) -> BTreeMap<String, Vec<ReceivedMessage>> {
        self.state().record.all()
    }

    /// Returns the stored messages of one recipient in the order of arrival.
    pub fn received_by(&self, group: &str) -> Vec<ReceivedMessage> {
        self.state().record.of_group(group)
    }

    /// Returns the number of messages of each recipient.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.state().record.counts()
    }

    pub fn count(&self, group: &str) -> u64 {
        self.state().record.count(group)
    }

    /// Returns the totals.
    pub fn stats(&self) -> Stats {
        let state = self.state();
        Stats { groups_reached: state.record.groups(), ..state.stats.clone() }
    }

    /// Returns the planned faults.
    pub fn faults(&self) -> FaultPlan {
        self.state().plan.clone()
    }

    /// Replaces the fault plan. The new rules start counting now.
    pub fn plan(&self, faults: FaultPlan) {
        self.state().plan = faults;
    }

    /// Ends every token, as the service does when a secret changes.
    pub fn revoke_tokens(&self) {
        self.state().tokens.revoke();
    }

    /// Removes messages, files, changes of groups, waiting callbacks and totals, and empties the meters. Tokens stay valid, faults stay planned, and
    /// message ids continue.
    pub fn reset(&self) {
        let mut state = self.state();
        state.record.clear();
        state.files.clear();
        state.groups = GroupChanges::default();
        state.callbacks.clear();
        state.meters = CallMeters::new(&self.0.settings);
        state.stats = Stats::default();
    }

    /// Returns the delay of the next request or answer: half the latency, drawn anew each time.
    pub fn one_way(&self) -> Duration {
        self.0.settings.latency.one_way(&mut self.state().rng)
    }

    /// Returns the bytes of an upload that is stored.
    pub(super) fn stored_file(&self, uuid: &str) -> Option<Bytes> {
        self.state().files.bytes(uuid).cloned()
    }

    pub(super) fn time(&self) -> &dyn SimulatorTime {
        &*self.0.time
    }

    pub(super) fn callback_queued(&self) -> &Notify {
        &self.0.callback_queued
    }

    pub(super) fn state(&self) -> MutexGuard<'_, SimulatorState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Simulator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Simulator").field("prefix", &self.0.settings.prefix).finish_non_exhaustive()
    }
}
