//! A messaging service and the network before it. It shares no code with the program, and knows everything that arrived.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use mooncast::{Clock, InProcessService, Instant, ServiceResponse};
use serde_json::{Value, json};

use crate::control::{Control, Life};
use crate::random::Random;
use crate::story::Faults;

const SECOND: Duration = Duration::from_secs(1);

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It never arrives, and the connection is reset.
    LostBefore,
    /// It never arrives, and no answer comes.
    HangsBefore,
    Accepted,
    /// Accepted, and the connection is reset.
    LostAfter,
    /// Accepted, and no answer comes.
    HangsAfter,
    /// Accepted, and the answer breaks off.
    Truncated,
    /// Accepted, and the answer lacks the first group.
    Partial,
    /// 429: not accepted.
    Throttled,
    /// 503: not accepted, which the sender cannot know.
    Broken,
    /// 500: accepted, which the sender cannot know.
    BrokenAfter,
    /// 400: not accepted.
    Refused,
}

impl Fate {
    const fn arrives(self) -> bool {
        !matches!(self, Self::LostBefore | Self::HangsBefore)
    }

    pub const fn accepts(self) -> bool {
        matches!(
            self,
            Self::Accepted
                | Self::LostAfter
                | Self::HangsAfter
                | Self::Truncated
                | Self::Partial
                | Self::BrokenAfter
        )
    }
}

/// A request, as the network saw it.
#[derive(Debug, Clone)]
pub struct Sent {
    pub life: Life,
    pub text: String,
    pub groups: Vec<String>,
    pub is_targeted: bool,
    pub began: Instant,
    arrives: Instant,
    pub arrived: Option<Instant>,
    pub fate: Fate,
    /// When its whole answer reached the process.
    pub answered: Option<Instant>,
    /// When the process stopped waiting for it, answered or not.
    pub ended: Option<Instant>,
    /// Whether the process lived on after it had the whole answer.
    pub is_known: bool,
}

impl Sent {
    /// Whether the answer says that this group's message was accepted.
    pub fn confirms(&self, group: &str) -> bool {
        match self.fate {
            Fate::Accepted => true,
            Fate::Partial => self.groups.iter().skip(1).any(|one| one == group),
            _ => false,
        }
    }
}

#[derive(Debug)]
struct State {
    random: Random,
    faults: Faults,
    refused: Vec<u64>,
    partition_until: Instant,
    throttled_until: Instant,
    sent: Vec<Sent>,
    /// Requests on their way.
    under_way: Vec<usize>,
    /// Answered requests whose processes may not have recorded them yet.
    unsettled: Vec<usize>,
}

#[derive(Debug)]
pub struct Service {
    clock: Clock,
    control: Control,
    state: Mutex<State>,
}

impl Service {
    pub fn new(seed: u64, clock: &Clock, control: &Control, faults: Faults, refused: &[u64]) -> Arc<Self> {
        Arc::new(Self {
            clock: clock.clone(),
            control: control.clone(),
            state: Mutex::new(State {
                random: Random::new(seed, 3),
                faults,
                refused: refused.to_vec(),
                partition_until: Instant::ZERO,
                throttled_until: Instant::ZERO,
                sent: Vec::new(),
                under_way: Vec::new(),
                unsettled: Vec::new(),
            }),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The connection of one process to the service.
    pub fn wire(self: &Arc<Self>, life: Life) -> Arc<Wire> {
        Arc::new(Wire { service: Arc::clone(self), life })
    }

    pub fn cut_off(&self, seconds: u64) {
        self.state().partition_until = self.clock.now() + Duration::from_secs(seconds);
    }

    pub fn throttle(&self, seconds: u64) {
        self.state().throttled_until = self.clock.now() + Duration::from_secs(seconds);
    }

    /// Ends all faults.
    pub fn heal(&self) {
        let mut state = self.state();
        state.faults = Faults::default();
        state.partition_until = Instant::ZERO;
        state.throttled_until = Instant::ZERO;
    }

    pub fn next_arrival(&self) -> Option<Instant> {
        let state = self.state();
        state.under_way.iter().map(|&number| state.sent[number].arrives).min()
    }

    /// Lets everything arrive whose time has come, whether its sender lives or not.
    pub fn deliver(&self) {
        let (mut state, now) = (self.state(), self.clock.now());
        let state = &mut *state;
        let cut_off = now < state.partition_until;
        let mut due: Vec<usize> = Vec::new();
        state.under_way.retain(|&number| {
            let is_due = state.sent[number].arrives <= now;
            if is_due {
                due.push(number);
            }
            !is_due
        });
        due.sort_by_key(|&number| (state.sent[number].arrives, number));
        for number in due {
            let sent = &mut state.sent[number];
            if cut_off {
                sent.fate = Fate::HangsBefore;
            }
            if sent.fate.arrives() {
                sent.arrived = Some(now);
            }
            let Sent { text, groups, fate, .. } = sent;
            self.control.log(&self.clock, format!("service: {text} to {groups:?}: {fate:?}"));
        }
    }

    /// Everything that a living process has heard until now is recorded by it: the time moves on.
    pub fn settle(&self) {
        let mut state = self.state();
        let state = &mut *state;
        for number in state.unsettled.drain(..) {
            let sent = &mut state.sent[number];
            sent.is_known = !self.control.is_dead(sent.life);
        }
    }

    pub fn sent(&self) -> Vec<Sent> {
        self.state().sent.clone()
    }

    fn begin(&self, life: Life, path: &str, body: &[u8]) -> (usize, Instant, Duration) {
        let message: Value = serde_json::from_slice(body).unwrap();
        let text = message["body"]["msg"].as_str().unwrap().to_owned();
        let groups: Vec<String> =
            message["to"].as_array().unwrap().iter().map(|to| to.as_str().unwrap().to_owned()).collect();
        let (mut state, now) = (self.state(), self.clock.now());
        let fate = state.fate(&groups, now);
        let millis = if hit(&mut state, |faults| faults.slow) { 20_000 } else { 115 };
        let there = Duration::from_micros(state.random.within(5_000, millis * 1_000));
        let back = Duration::from_micros(state.random.within(5_000, 120_000));
        let number = state.sent.len();
        let (process, start) = (life.process + 1, life.start + 1);
        self.control.log(&self.clock, format!("p{process}.{start} sends {text} to {groups:?}"));
        state.sent.push(Sent {
            life,
            text,
            groups,
            is_targeted: path.ends_with("/users"),
            began: now,
            arrives: now + there,
            arrived: None,
            fate,
            answered: None,
            ended: None,
            is_known: false,
        });
        state.under_way.push(number);
        (number, now + there, back)
    }

    /// Takes a request back that never left.
    fn unsend(&self, number: usize) {
        let mut state = self.state();
        state.under_way.retain(|one| *one != number);
        state.sent[number].fate = Fate::HangsBefore;
    }

    fn answer(&self, number: usize) -> Option<ServiceResponse> {
        let mut state = self.state();
        let now = self.clock.now();
        let sent = &mut state.sent[number];
        let whole = |status: u16, body: &Value| {
            let response = Response::builder().status(status).header("content-type", "application/json");
            ServiceResponse::Whole(response.body(Bytes::from(body.to_string())).unwrap())
        };
        let answer = match sent.fate {
            Fate::HangsBefore | Fate::HangsAfter => return None,
            Fate::LostBefore | Fate::LostAfter => ServiceResponse::Reset,
            Fate::Truncated => ServiceResponse::Truncated(Response::new(())),
            Fate::Accepted | Fate::Partial => {
                let confirmed = sent.groups.iter().filter(|group| sent.confirms(group));
                let data = confirmed.map(|group| (group.clone(), json!(format!("m{number}-{group}"))));
                whole(200, &json!({ "data": Value::Object(data.collect()) }))
            }
            Fate::Throttled => whole(429, &json!({ "error": "reach_limit" })),
            Fate::Broken => whole(503, &json!({ "error": "service_unavailable" })),
            Fate::BrokenAfter => whole(500, &json!({ "error": "internal_server_error" })),
            Fate::Refused => {
                whole(400, &json!({ "error": "illegal_argument", "error_description": "no such group" }))
            }
        };
        if matches!(answer, ServiceResponse::Whole(_)) {
            sent.answered = Some(now);
            state.unsettled.push(number);
        }
        Some(answer)
    }
}

fn hit(state: &mut State, fault: impl Fn(&Faults) -> u64) -> bool {
    let often = fault(&state.faults);
    // Drawn in any case, so that a fault less changes nothing else.
    let drawn = state.random.below(1 << 40);
    often > 0 && drawn.is_multiple_of(often)
}

impl State {
    fn fate(&mut self, groups: &[String], now: Instant) -> Fate {
        let is_refused = groups.iter().any(|group| self.refused.iter().any(|one| *group == one.to_string()));
        let first = self.random.once_in(2);
        let mut fate = if is_refused { Fate::Refused } else { Fate::Accepted };
        for (happens, becomes) in [
            (
                hit(self, |faults| faults.broken),
                if first || is_refused { Fate::Broken } else { Fate::BrokenAfter },
            ),
            (hit(self, |faults| faults.partial) && !is_refused, Fate::Partial),
            (hit(self, |faults| faults.truncated) && !is_refused, Fate::Truncated),
            (hit(self, |faults| faults.lost_after) && !is_refused, Fate::LostAfter),
            (
                hit(self, |faults| faults.hangs),
                if first || is_refused { Fate::HangsBefore } else { Fate::HangsAfter },
            ),
            (hit(self, |faults| faults.lost_before), Fate::LostBefore),
            (hit(self, |faults| faults.throttled), Fate::Throttled),
        ] {
            if happens {
                fate = becomes;
            }
        }
        if now < self.throttled_until { Fate::Throttled } else { fate }
    }
}

/// One process's way to the service.
#[derive(Debug)]
pub struct Wire {
    service: Arc<Service>,
    life: Life,
}

/// Notes when a process stops waiting for a request.
struct Waiting<'a> {
    service: &'a Service,
    number: usize,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let now = self.service.clock.now();
        self.service.state().sent[self.number].ended = Some(now);
    }
}

#[async_trait]
impl InProcessService for Wire {
    async fn connect(&self) -> bool {
        let service = &self.service;
        let cut_off = service.clock.now() < service.state().partition_until;
        if cut_off {
            service.clock.sleep(SECOND).await;
        }
        !cut_off
    }

    async fn carry(&self, request: Request<Bytes>) -> ServiceResponse {
        let Wire { service, life } = self;
        if service.control.is_dead(*life) {
            return std::future::pending().await;
        }
        let (number, arrives, back) = service.begin(*life, request.uri().path(), request.body());
        let _waiting = Waiting { service, number };
        if !service.control.requests(*life, false) {
            service.unsend(number);
            return std::future::pending().await;
        }
        service.clock.sleep_until(arrives).await;
        if !service.control.requests(*life, true) {
            return std::future::pending().await;
        }
        service.clock.sleep(back).await;
        match service.answer(number) {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}
