//! The simulator itself: its state, and what it tells the program around it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::Request;
use bytes::Bytes;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::count::Meter;
use super::files::{Files, uuid};
use super::record::Record;
use super::time::Moment;
use super::token::Tokens;
use super::{Answer, Call, Plan, Received, Settings, Stats, Time, inspect};

/// A fake service. Clones are the same service.
#[derive(Clone)]
pub struct Simulator(Arc<Shared>);

struct Shared {
    settings: Settings,
    time: Box<dyn Time>,
    state: Mutex<State>,
}

/// What changes while the service runs.
#[derive(Debug)]
pub(super) struct State {
    pub(super) rng: StdRng,
    pub(super) plan: Plan,
    pub(super) meters: Meters,
    pub(super) tokens: Tokens,
    pub(super) files: Files,
    pub(super) record: Record,
    pub(super) stats: Stats,
    /// The service's own name for the app: a uuid in every answer.
    pub(super) application: String,
}

/// One meter for each rate.
#[derive(Debug)]
pub(super) struct Meters {
    pub(super) calls: BTreeMap<Call, Meter>,
    pub(super) group_messages: Meter,
    pub(super) targeted: Meter,
}

impl Meters {
    fn new(settings: &Settings) -> Self {
        let limits = &settings.limits;
        let meter = |quota| Meter::new(quota, limits.count, limits.whole_calls);
        let quota = |call| match call {
            Call::Send => limits.group_per_second,
            Call::Upload => limits.upload_per_second,
            Call::Download | Call::Groups | Call::Members | Call::Recall => limits.read_per_second,
            // A token has no rate on the vendor's page; a targeted call is counted with its own wording.
            Call::Token | Call::Targeted => None,
        };
        Self {
            calls: Call::ALL.into_iter().map(|call| (call, meter(quota(call)))).collect(),
            group_messages: meter(limits.group_per_second),
            targeted: meter(limits.targeted_per_second),
        }
    }
}

impl Simulator {
    /// A service that begins at `time`'s present with nothing received.
    #[must_use]
    pub fn new(settings: Settings, time: impl Time) -> Self {
        let mut rng = StdRng::seed_from_u64(settings.seed);
        let state = State {
            application: uuid(&mut rng),
            rng,
            plan: settings.faults.clone(),
            meters: Meters::new(&settings),
            tokens: Tokens::default(),
            files: Files::default(),
            record: Record::new(settings.keep, Moment::of(&time).unix_ms()),
            stats: Stats::default(),
        };
        Self(Arc::new(Shared { settings, time: Box::new(time), state: Mutex::new(state) }))
    }

    /// Appends one line of JSON to `log` for each message from now on, before its call is answered, in one
    /// unbuffered write for each call: what was answered is in the file, also when this process is killed.
    pub fn log_to(&self, log: File) {
        self.state().record.log_to(log);
    }

    /// Answers one request as if it arrived now: the whole service without a network and without latency.
    ///
    /// Beside the service's calls, which stand behind the prefix, there are `GET /_sim/stats`, `/_sim/received` (how
    /// many messages each group got), `/_sim/received/{group}` (those messages), `GET` and `PUT /_sim/faults` (the
    /// [`Plan`] as text), `POST /_sim/revoke` (ends every token) and `POST /_sim/reset`; they need no token, and are
    /// not counted, delayed or struck by faults.
    #[must_use]
    pub fn handle(&self, request: &Request<Bytes>) -> Answer {
        if let Some(path) = request.uri().path().strip_prefix("/_sim/") {
            return Answer::Whole(inspect::answer(self, request, path));
        }
        let now = Moment::of(&*self.0.time);
        self.state().exchange(&self.0.settings, request, now)
    }

    /// What it was made with.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// All kept messages by group, each group's in the order of their arrival. Empty where only counts are kept.
    #[must_use]
    pub fn received(&self) -> BTreeMap<String, Vec<Received>> {
        self.state().record.all()
    }

    /// The kept messages of one group in the order of their arrival.
    #[must_use]
    pub fn received_by(&self, group: &str) -> Vec<Received> {
        self.state().record.of_group(group)
    }

    /// How many messages each group got.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.state().record.counts()
    }

    /// How many messages that group got.
    #[must_use]
    pub fn count(&self, group: &str) -> u64 {
        self.state().record.count(group)
    }

    /// The totals.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let state = self.state();
        Stats { groups_reached: state.record.groups(), ..state.stats.clone() }
    }

    /// The faults that are planned.
    #[must_use]
    pub fn faults(&self) -> Plan {
        self.state().plan.clone()
    }

    /// Plans other faults, which count their calls from now on.
    pub fn plan(&self, faults: Plan) {
        self.state().plan = faults;
    }

    /// Ends every token that was given out, as the service does when a secret is changed.
    pub fn revoke_tokens(&self) {
        self.state().tokens.revoke();
    }

    /// Forgets messages, files and totals and empties the meters. Tokens stay good, faults stay planned, and message
    /// ids go on.
    pub fn reset(&self) {
        let mut state = self.state();
        state.record.clear();
        state.files.clear();
        state.meters = Meters::new(&self.0.settings);
        state.stats = Stats::default();
    }

    /// How long the next request or answer is on its way; half the latency, drawn anew each time.
    #[must_use]
    pub fn one_way(&self) -> Duration {
        self.0.settings.latency.one_way(&mut self.state().rng)
    }

    pub(super) fn time(&self) -> &dyn Time {
        &*self.0.time
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Simulator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Simulator").field("prefix", &self.0.settings.prefix).finish_non_exhaustive()
    }
}
