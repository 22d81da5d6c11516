//! A sender that always has something to send, a network with random delays, and the service.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::num::NonZeroU32;
use std::ops::Range;
use std::pin::Pin;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::model::{Backend, Counting, Service, all_take};
use crate::clock::{Clock, Instant};
use crate::core::Priority;
use crate::quota::{Permit, PermitOutcome, Quota, QuotaPeriod, QuotaSettings, SendHistory};

/// The settings of a simulation.
#[derive(Debug, Clone)]
pub(super) struct Scene {
    /// The limit of a period.
    pub(super) per_second: u32,
    pub(super) period: QuotaPeriod,
    pub(super) largest_cost: u32,
    /// The one-way delay in milliseconds, drawn for each direction of each call.
    pub(super) delay: Range<f64>,
    /// The cost of a call, by its number.
    pub(super) cost: fn(u64) -> u32,
    /// A call is accepted only if all of these accept it.
    pub(super) counting: Vec<Counting>,
    pub(super) backend: Option<Backend>,
    /// The range of time, in seconds, in which arrivals are counted. The simulation ends with it.
    pub(super) counted: Range<f64>,
    /// This process is killed and started again at these times, in seconds.
    pub(super) restarts: Vec<f64>,
    /// Requests are written up to this many milliseconds after their permits.
    pub(super) stall: f64,
    pub(super) seed: u64,
}

impl Scene {
    pub(super) fn new(per_second: u32, delay: Range<f64>) -> Self {
        Self {
            per_second,
            period: QuotaPeriod::Second,
            largest_cost: 3,
            delay,
            cost: |_| 1,
            counting: Counting::ALL.to_vec(),
            backend: None,
            counted: 0.0..60.0,
            restarts: Vec::new(),
            stall: 0.0,
            seed: 1,
        }
    }
}

/// The result, in messages.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Outcome {
    pub(super) taken: u64,
    /// Refused at any time, including before the counted range.
    pub(super) ever_refused: u64,
    pub(super) refused: u64,
    pub(super) backend_taken: u64,
    pub(super) backend_refused: u64,
}

enum Step {
    Write,
    Arrive,
    Answer(bool),
}

struct Network {
    clock: Clock,
    scene: Scene,
    random: StdRng,
    services: Vec<Service>,
    backend: std::iter::Peekable<std::vec::IntoIter<Duration>>,
    /// By instant, with the number of the call.
    steps: BinaryHeap<Reverse<(Instant, u64)>>,
    calls: std::collections::HashMap<u64, (Step, Option<Permit>, u32)>,
    outcome: Outcome,
    number: u64,
}

type Wait<'a> = Pin<Box<dyn Future<Output = Permit> + 'a>>;

impl Scene {
    pub(super) fn play(self) -> Outcome {
        let clock = Clock::simulated(Duration::ZERO);
        let mut random = StdRng::seed_from_u64(self.seed);
        let end = self.counted.end;
        let backend = self.backend.map_or_else(Vec::new, |backend| {
            backend.arrivals(f64::from(self.per_second) / 2.0, end, &mut random)
        });
        let period = Duration::from_secs(self.period.seconds().into());
        let service = |counting: &Counting| Service::over(period, *counting, self.per_second);
        let services = self.counting.iter().map(service).collect();
        let network = Network {
            clock: clock.clone(),
            random,
            services,
            backend: backend.into_iter().peekable(),
            steps: BinaryHeap::new(),
            calls: std::collections::HashMap::new(),
            outcome: Outcome::default(),
            number: 0,
            scene: self,
        };
        clock.block_on(network.play(end)).unwrap()
    }
}

impl Network {
    async fn play(mut self, end: f64) -> Outcome {
        let mut lives = self.scene.restarts.clone();
        lives.push(end);
        let clock = self.clock.clone();
        for life in lives {
            let death = Instant::from_start(Duration::from_secs_f64(life));
            let quota = Quota::new(
                QuotaSettings {
                    largest_cost: NonZeroU32::new(self.scene.largest_cost).unwrap(),
                    period: self.scene.period,
                    history: SendHistory::Unknown,
                    ..QuotaSettings::new("messages", NonZeroU32::new(self.scene.per_second).unwrap())
                },
                clock.clone(),
            );
            let mut wait: Wait<'_> = self.wait(&quota);
            while clock.now() < death {
                let due = self.steps.peek().map_or(death, |Reverse((at, _))| *at).min(death);
                tokio::select! {
                    biased;
                    () = clock.sleep_until(due) => self.step(),
                    permit = &mut wait => {
                        self.granted(permit);
                        wait = self.wait(&quota);
                    }
                }
            }
            drop(wait);
            // A call that the killed process has written is still in flight. A call that it had not written is dropped.
            self.calls.retain(|_, call| {
                let keep = !matches!(call.0, Step::Write);
                call.1 = None;
                keep
            });
        }
        self.outcome
    }

    fn wait<'a>(&self, quota: &'a Quota) -> Wait<'a> {
        let cost = (self.scene.cost)(self.number);
        Box::pin(async move { quota.acquire(cost, Priority::Normal).await.unwrap() })
    }

    fn granted(&mut self, permit: Permit) {
        self.number += 1;
        let cost = permit.cost();
        let stall =
            if self.scene.stall > 0.0 { self.random.random_range(0.0..self.scene.stall) } else { 0.0 };
        self.calls.insert(self.number, (Step::Write, Some(permit), cost));
        if stall > 0.0 {
            self.later(stall, self.number);
        } else {
            self.take_step(self.number);
        }
    }

    fn later(&mut self, millis: f64, number: u64) {
        let at = self.clock.now() + Duration::from_secs_f64(millis / 1000.0);
        self.steps.push(Reverse((at, number)));
    }

    fn delay(&mut self) -> f64 {
        let delay = self.scene.delay.clone();
        if delay.is_empty() { delay.start } else { self.random.random_range(delay) }
    }

    fn step(&mut self) {
        let now = self.clock.now();
        while let Some(Reverse((at, number))) = self.steps.peek().copied().filter(|step| step.0.0 <= now) {
            assert!(at <= now);
            self.steps.pop();
            self.take_step(number);
        }
    }

    fn take_step(&mut self, number: u64) {
        let Some((step, mut permit, cost)) = self.calls.remove(&number) else { return };
        match step {
            Step::Write => {
                if let Some(permit) = &mut permit {
                    permit.written();
                }
                let delay = self.delay();
                self.later(delay, number);
                self.calls.insert(number, (Step::Arrive, permit, cost));
            }
            Step::Arrive => {
                let taken = self.arrive(cost);
                let delay = self.delay();
                self.later(delay, number);
                self.calls.insert(number, (Step::Answer(taken), permit, cost));
            }
            Step::Answer(taken) => {
                if let Some(permit) = permit {
                    permit.answered(if taken {
                        PermitOutcome::Accepted
                    } else {
                        PermitOutcome::Throttled { retry_after: None }
                    });
                }
            }
        }
    }

    fn arrive(&mut self, cost: u32) -> bool {
        let now = self.clock.now().since_start();
        let start = Duration::from_secs_f64(self.scene.counted.start);
        while let Some(at) = self.backend.next_if(|at| *at <= now) {
            let taken = all_take(&mut self.services, at, 1);
            if at >= start {
                self.outcome.backend_taken += u64::from(taken);
                self.outcome.backend_refused += u64::from(!taken);
            }
        }
        let taken = all_take(&mut self.services, now, cost);
        self.outcome.ever_refused += u64::from(!taken) * u64::from(cost);
        if now >= start {
            *(if taken { &mut self.outcome.taken } else { &mut self.outcome.refused }) += u64::from(cost);
        }
        taken
    }
}
