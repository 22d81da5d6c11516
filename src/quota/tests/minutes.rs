//! A quota over a minute, alone and beside a quota of calls: the service refuses nothing, however it counts, and nearly all
//! that it can accept is sent. Ten minutes of simulated time.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::model::{Counting, Service, all_take};
use super::scene::Scene;
use crate::clock::Clock;
use crate::config::AppLimits;
use crate::core::{Call, Priority};
use crate::quota::{PermitOutcome, Quota, QuotaPeriod, QuotaSettings, Quotas, SendHistory};

const MINUTE: Duration = Duration::from_mins(1);
const DELAYS: [Range<f64>; 3] = [2.5..2.5, 2.5..40.0, 20.0..150.0];

/// A minute's quota of 6,000 with calls of this cost.
fn refuses_nothing(cost: fn(u64) -> u32, least: f64) {
    for delay in DELAYS {
        // The service counts in all four ways at once.
        let scene = Scene {
            period: QuotaPeriod::Minute,
            largest_cost: 600,
            cost,
            // The first minutes are slower, because the messages before them are not known.
            counted: 120.0..720.0,
            ..Scene::new(6000, delay.clone())
        };
        let outcome = scene.play();
        let spread = (delay.end - delay.start) / 1000.0;
        let part = outcome.taken as f64 / (6000.0 * 60.0 / (60.0 + spread) * 10.0);
        println!("{delay:?} ms: {:.2}% of what is allowed", part * 100.0);
        assert_eq!(outcome.ever_refused, 0, "{delay:?} ms");
        assert!(part >= least, "{delay:?} ms: {part}");
    }
}

#[test]
fn with_one_message_a_call() {
    refuses_nothing(|_| 1, 0.98);
}

#[test]
fn with_600_messages_a_call() {
    refuses_nothing(|_| 600, 0.98);
}

#[test]
fn with_100_messages_a_call() {
    refuses_nothing(|_| 100, 0.98);
}

#[test]
fn with_calls_of_any_size() {
    // While a large call waits for its slots, those that are free already stay unused.
    refuses_nothing(|number| 1 + u32::try_from(number * 7919 % 600).unwrap(), 0.93);
}

#[test]
fn with_restarts_at_full_pace() {
    for seed in 0..3 {
        let scene = Scene {
            period: QuotaPeriod::Minute,
            largest_cost: 600,
            cost: |number| if number % 10 == 0 { 600 } else { 1 },
            restarts: vec![70.0, 95.5, 96.0, 130.0],
            counted: 0.0..260.0,
            seed,
            ..Scene::new(6000, 20.0..150.0)
        };
        let outcome = scene.play();
        assert_eq!(outcome.ever_refused, 0, "seed {seed}");
        assert!(outcome.taken > 6000, "{outcome:?}");
    }
}

/// A service with the rates of the real one, and one app that sends through its quotas.
struct World {
    clock: Clock,
    quotas: Quotas,
    /// By the call, what counts it: its messages, and for users the calls, each in all four ways.
    services: RefCell<BTreeMap<Call, Vec<[Service; 4]>>>,
    delay: Range<f64>,
    random: RefCell<StdRng>,
    refused: Cell<u64>,
    taken: RefCell<BTreeMap<Call, u64>>,
}

impl World {
    fn delay(&self) -> Duration {
        let delay = &self.delay;
        let random = &mut self.random.borrow_mut();
        let millis = if delay.is_empty() { delay.start } else { random.random_range(delay.clone()) };
        Duration::from_secs_f64(millis / 1000.0)
    }

    /// Whether the service accepts a call of `cost` messages.
    fn arrive(&self, call: Call, cost: u32, now: Duration) -> bool {
        let mut taken = true;
        for (index, counted) in self.services.borrow_mut().get_mut(&call).unwrap().iter_mut().enumerate() {
            // The second one counts calls.
            taken &= all_take(counted, now, if index == 1 { 1 } else { cost });
        }
        taken
    }

    /// Sends calls of `cost` messages one after the other until the end.
    async fn send(&self, call: Call, cost: u32, end: Duration) {
        while self.clock.now().since_start() < end {
            let mut permit = self.quotas.of_call(call).acquire(cost, Priority::Normal).await.unwrap();
            if let Some(calls) = self.quotas.counting_calls(call) {
                permit = permit.with_call(calls.acquire(1, Priority::Normal).await.unwrap());
            }
            permit.written();
            self.clock.sleep(self.delay()).await;
            let now = self.clock.now().since_start();
            let taken = self.arrive(call, cost, now);
            if !taken {
                self.refused.set(self.refused.get() + 1);
            } else if now >= 2 * MINUTE {
                *self.taken.borrow_mut().entry(call).or_default() += u64::from(cost);
            }
            self.clock.sleep(self.delay()).await;
            permit.settle(if taken {
                PermitOutcome::Accepted
            } else {
                PermitOutcome::Throttled { retry_after: None }
            });
        }
    }
}

/// Plays twelve minutes with so many senders of each kind, and returns the messages taken in the last ten.
fn play(senders: &[(Call, u32, usize)], delay: Range<f64>) -> BTreeMap<Call, u64> {
    let clock = Clock::simulated(Duration::ZERO);
    let over = |period, limit| Counting::ALL.map(|counting| Service::over(period, counting, limit));
    let second = Duration::from_secs(1);
    let services = BTreeMap::from([
        (Call::Group, vec![over(second, 20)]),
        (Call::Targeted, vec![over(second, 100)]),
        (Call::User, vec![over(MINUTE, 6000), over(second, 100)]),
    ]);
    let world = Rc::new(World {
        quotas: Quotas::new(&AppLimits::default(), &clock),
        clock: clock.clone(),
        services: RefCell::new(services),
        delay,
        random: RefCell::new(StdRng::seed_from_u64(1)),
        refused: Cell::new(0),
        taken: RefCell::default(),
    });
    let all = senders.iter().flat_map(|&(call, cost, many)| std::iter::repeat_n((call, cost), many));
    let tasks: Vec<_> = all.map(|(call, cost)| world.send(call, cost, 12 * MINUTE)).collect();
    clock.block_on(join_all(tasks)).unwrap();
    assert_eq!(world.refused.get(), 0, "{senders:?}");
    world.taken.borrow().clone()
}

#[test]
fn users_one_a_call_are_refused_neither_as_messages_nor_as_calls() {
    for delay in DELAYS {
        let spread = (delay.end - delay.start) / 1000.0;
        let taken = play(&[(Call::User, 1, 64)], delay.clone())[&Call::User];
        // The calls of a second are the tighter limit.
        let part = taken as f64 / (100.0 / (1.0 + spread) * 600.0);
        println!("{delay:?} ms: {:.2}% of what is allowed", part * 100.0);
        assert!(part >= 0.98, "{delay:?} ms: {part}");
    }
}

#[test]
fn mixed_traffic_leaves_each_quota_its_own() {
    let kinds = [(Call::Group, 1, 16), (Call::Targeted, 1, 64), (Call::User, 100, 16)];
    let together = play(&kinds, 2.5..40.0);
    for kind in kinds {
        let alone = play(&[kind], 2.5..40.0)[&kind.0];
        let part = together[&kind.0] as f64 / alone as f64;
        println!("{}: {:.2}% of what it sends alone", kind.0, part * 100.0);
        assert!((0.99..1.01).contains(&part), "{}: {part}", kind.0);
    }
}

#[test]
fn too_many_calls_do_not_slow_down_messages_and_the_other_way_round() {
    let clock = Clock::simulated(Duration::ZERO);
    let quota = |period| {
        let settings = QuotaSettings {
            period,
            history: SendHistory::Unused,
            ..QuotaSettings::new("messages", NonZeroU32::new(600).unwrap())
        };
        Quota::new(settings, clock.clone())
    };
    let (messages, calls) = (quota(QuotaPeriod::Minute), quota(QuotaPeriod::Second));
    let throttled = PermitOutcome::Throttled { retry_after: None };
    clock
        .block_on(async {
            let mut permit = messages.acquire(1, Priority::Normal).await.unwrap();
            permit = permit.with_call(calls.acquire(1, Priority::Normal).await.unwrap());
            permit.written();
            permit.settle_each(PermitOutcome::Other, throttled);
            assert_eq!((messages.ever(), calls.ever()), ((1, 0), (1, 1)));
            assert!(calls.status().pace < 300.0, "{}", calls.status().pace);
            assert!(messages.status().pace > 9.9, "{}", messages.status().pace);
            // A refusal by the minute holds for about a minute, so the pace is not raised within seconds.
            let mut permit = messages.acquire(1, Priority::Normal).await.unwrap();
            permit.written();
            permit.settle_each(throttled, PermitOutcome::Other);
            let low = messages.status().pace;
            assert!(low < 5.0, "{low}");
            clock.sleep(Duration::from_secs(50)).await;
            assert!(messages.status().pace <= low);
            clock.sleep(Duration::from_hours(1)).await;
            assert!(messages.status().pace > 9.9, "{}", messages.status().pace);
        })
        .unwrap();
}
