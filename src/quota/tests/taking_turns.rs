//! Priorities, cancellation, and permits that are not used.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use proptest::prelude::*;

use crate::clock::{Clock, Instant};
use crate::core::Priority;
use crate::quota::acquire::CostTooHighError;
use crate::quota::settings::PastSend;
use crate::quota::{Permit, PermitOutcome, Quota, QuotaSettings, SendHistory};

const SECOND: Duration = Duration::from_secs(1);

fn quota(clock: &Clock, per_second: u32) -> Quota {
    let settings = QuotaSettings {
        largest_cost: NonZeroU32::new(3).unwrap(),
        history: SendHistory::Unused,
        ..QuotaSettings::new("messages", NonZeroU32::new(per_second).unwrap())
    };
    Quota::new(settings, clock.clone())
}

fn send(mut permit: Permit, answer: PermitOutcome) {
    permit.written();
    permit.answered(answer);
}

/// Starts `count` tasks that each request one permit, and records the order in which they are served.
fn crowd(
    served: &Rc<RefCell<Vec<(Priority, Duration)>>>,
    quota: &Quota,
    clock: &Clock,
    of: Priority,
    count: usize,
) {
    for _ in 0..count {
        let (served, quota, clock) = (Rc::clone(served), quota.clone(), clock.clone());
        tokio::task::spawn_local(async move {
            let permit = quota.acquire(1, of).await.unwrap();
            served.borrow_mut().push((of, clock.now().since_start()));
            send(permit, PermitOutcome::Accepted);
        });
    }
}

#[test]
fn priorities_share_by_weight_and_an_alert_is_next() {
    let clock = Clock::simulated(Duration::ZERO);
    let quota = quota(&clock, 100);
    let served = Rc::default();
    clock
        .block_on(async {
            crowd(&served, &quota, &clock, Priority::Low, 3_000);
            crowd(&served, &quota, &clock, Priority::Normal, 3_000);
            clock.sleep(10 * SECOND).await;
            let of = |priority| served.borrow().iter().filter(|(of, _)| *of == priority).count();
            let (low, normal) = (of(Priority::Low), of(Priority::Normal));
            assert!(low.abs_diff(normal / 4) <= 5, "{low} and {normal}");
            let asked = clock.now();
            assert!(quota.expected_wait(3, Priority::High) < Duration::from_millis(20));
            send(quota.acquire(3, Priority::High).await.unwrap(), PermitOutcome::Accepted);
            // Two spacings: one that was due, and the gap in which the guard frees three slots.
            assert!(clock.now() - asked < Duration::from_millis(50), "{:?}", clock.now() - asked);
            crowd(&served, &quota, &clock, Priority::High, 10_000);
            let before = of(Priority::Low);
            clock.sleep(10 * SECOND).await;
            assert!(of(Priority::Low) >= before + 40, "the low priority starves");
        })
        .unwrap();
}

#[test]
fn twenty_thousand_waiters_are_served_in_order_and_nothing_is_left_behind() {
    let clock = Clock::simulated(Duration::ZERO);
    let quota = quota(&clock, 20_000);
    let served = Rc::default();
    clock
        .block_on(async {
            crowd(&served, &quota, &clock, Priority::Normal, 20_000);
            clock.sleep(SECOND + SECOND / 10).await;
        })
        .unwrap();
    let served = served.borrow();
    assert_eq!(served.len(), 20_000);
    assert!(served.is_sorted_by_key(|(_, at)| *at));
    assert!(quota.status().waiting.is_empty());
}

#[test]
fn what_costs_too_much_is_refused_and_what_costs_more_than_a_second_is_slow() {
    let clock = Clock::simulated(Duration::ZERO);
    for per_second in [1, 2] {
        let quota = quota(&clock, per_second);
        clock
            .block_on(async {
                for cost in [0, 4] {
                    let error = quota.acquire(cost, Priority::High).await.unwrap_err();
                    assert_eq!(error, CostTooHighError { name: "messages", cost, most: 3 });
                }
                let begun = clock.now();
                for _ in 0..10 {
                    send(quota.acquire(3, Priority::Normal).await.unwrap(), PermitOutcome::Accepted);
                }
                let elapsed = (clock.now() - begun).as_secs_f64();
                // Nine whole calls before the last one, each holding the quota for as many seconds as it is worth.
                let expected = f64::from(9 * 3_u32.div_ceil(per_second));
                assert!((elapsed - expected).abs() < 0.1, "{per_second}/s: {elapsed} s");
            })
            .unwrap();
    }
}

#[test]
fn nothing_leaves_before_the_service_said_so() {
    let clock = Clock::simulated(Duration::ZERO);
    let quota = quota(&clock, 100);
    clock
        .block_on(async {
            let retry_after = Some(7 * SECOND);
            send(quota.acquire(1, Priority::Normal).await.unwrap(), PermitOutcome::Throttled { retry_after });
            let status = quota.status();
            assert_eq!((status.resumes_in, status.throttled_last_minute), (retry_after, 1));
            assert!(status.pace < 100.0);
            assert_eq!(quota.expected_wait(1, Priority::High), 7 * SECOND);
            drop(quota.acquire(1, Priority::High).await.unwrap());
            assert_eq!(clock.now(), Instant::from_start(7 * SECOND));
        })
        .unwrap();
}

#[test]
fn an_idle_quota_saves_nothing_up() {
    let clock = Clock::simulated(Duration::ZERO);
    let quota = quota(&clock, 1_000);
    clock
        .block_on(async {
            clock.sleep(100 * SECOND).await;
            let begun = clock.now();
            let mut at_once = 0;
            while clock.now() == begun {
                send(quota.acquire(1, Priority::Normal).await.unwrap(), PermitOutcome::Accepted);
                at_once += 1;
            }
            assert!(at_once <= 5, "{at_once}");
        })
        .unwrap();
}

#[test]
fn a_known_history_is_counted() {
    let clock = Clock::simulated(Duration::ZERO);
    let sends = (0..20).map(|_| PastSend { ago: Duration::from_millis(400), cost: 1 }).collect();
    let settings = QuotaSettings {
        history: SendHistory::Known(sends),
        ..QuotaSettings::new("messages", NonZeroU32::new(20).unwrap())
    };
    let quota = Quota::new(settings, clock.clone());
    clock.block_on(async { drop(quota.acquire(1, Priority::Normal).await.unwrap()) }).unwrap();
    let waited = clock.now().since_start();
    assert!(waited >= Duration::from_millis(600) && waited <= Duration::from_millis(1_100), "{waited:?}");
}

#[test]
fn a_call_without_an_answer_holds_its_place_no_longer_than_it_can_matter() {
    let clock = Clock::simulated(Duration::ZERO);
    let quota = quota(&clock, 1);
    clock
        .block_on(async {
            // Before any answer, the slot is held for five seconds more than its own. After one answer the spread is
            // known to be two milliseconds.
            for (first, held) in
                [(None, 6 * SECOND), (Some(PermitOutcome::Accepted), Duration::from_millis(1_002))]
            {
                if let Some(answer) = first {
                    send(quota.acquire(1, Priority::Normal).await.unwrap(), answer);
                }
                let mut unanswered = quota.acquire(1, Priority::Normal).await.unwrap();
                let mut wait = Box::pin(quota.acquire(1, Priority::Normal));
                assert!(now_or_never(wait.as_mut()).await.is_none());
                clock.sleep(SECOND / 2).await;
                unanswered.written();
                let written = clock.now();
                drop(wait.await.unwrap());
                let waited = clock.now() - written;
                assert!(waited >= held && waited <= held + SECOND / 100, "{waited:?}");
            }
        })
        .unwrap();
}

#[test]
fn those_who_wait_outlive_the_runtime_that_served_them() {
    let clock = Clock::simulated(Duration::ZERO);
    let quota = quota(&clock, 1);
    let mut wait = Box::pin(quota.acquire(1, Priority::Normal));
    clock
        .block_on(async {
            send(quota.acquire(1, Priority::Normal).await.unwrap(), PermitOutcome::Accepted);
            assert!(now_or_never(wait.as_mut()).await.is_none());
            tokio::task::yield_now().await;
        })
        .unwrap();
    assert_eq!(quota.waiters().len(), 1);
    send(clock.block_on(wait).unwrap().unwrap(), PermitOutcome::Accepted);
    assert!(quota.waiters().is_empty());
}

async fn now_or_never<F: Future + ?Sized>(mut future: Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Ask(u32, Priority),
    GiveUp(usize),
    DropUnwritten(usize),
    Write(usize),
    Answer(usize, PermitOutcome),
    Pass(u64),
}

fn act() -> impl Strategy<Value = Act> {
    let priority = prop::sample::select(Priority::ALL.to_vec());
    let answer =
        prop::sample::select(vec![PermitOutcome::Accepted, PermitOutcome::Other, PermitOutcome::Missing]);
    prop_oneof![
        4 => (1..=3_u32, priority).prop_map(|(cost, priority)| Act::Ask(cost, priority)),
        1 => any::<usize>().prop_map(Act::GiveUp),
        1 => any::<usize>().prop_map(Act::DropUnwritten),
        4 => any::<usize>().prop_map(Act::Write),
        3 => (any::<usize>(), answer).prop_map(|(number, answer)| Act::Answer(number, answer)),
        4 => (0..300_u64).prop_map(Act::Pass),
    ]
}

type Wait<'a> = Pin<Box<dyn Future<Output = Result<Permit, CostTooHighError>> + 'a>>;

fn one_of<T>(list: &mut Vec<T>, number: usize) -> Option<T> {
    let length = list.len();
    (length > 0).then(|| list.swap_remove(number % length))
}

async fn act_out(clock: &Clock, per_second: u32, acts: Vec<Act>) {
    let quota = quota(clock, per_second);
    let mut waits: Vec<Wait<'_>> = Vec::new();
    let mut granted: Vec<Permit> = Vec::new();
    let mut written: Vec<Permit> = Vec::new();
    let mut slowest = Duration::ZERO;
    let mut second: VecDeque<(Instant, u32)> = VecDeque::new();
    for act in acts {
        match act {
            Act::Ask(cost, priority) => {
                let quota = &quota;
                waits.push(Box::pin(async move { quota.acquire(cost, priority).await }));
            }
            Act::GiveUp(number) => drop(one_of(&mut waits, number)),
            Act::DropUnwritten(number) => drop(one_of(&mut granted, number)),
            Act::Write(number) => {
                if let Some(mut permit) = one_of(&mut granted, number) {
                    permit.written();
                    let now = clock.now();
                    second.push_back((now, permit.cost()));
                    second.retain(|(at, _)| now - *at < SECOND);
                    let sum: u32 = second.iter().map(|(_, cost)| cost).sum();
                    assert!(sum <= per_second.max(3), "{sum} in a second at {per_second}/s");
                    written.push(permit);
                }
            }
            Act::Answer(number, answer) => {
                if let Some(permit) = one_of(&mut written, number) {
                    slowest = slowest.max(clock.now() - permit.written_at().unwrap());
                    permit.answered(answer);
                }
            }
            Act::Pass(millis) => clock.sleep(Duration::from_millis(millis)).await,
        }
        let mut index = 0;
        while let Some(wait) = waits.get_mut(index) {
            if let Some(permit) = now_or_never(wait.as_mut()).await {
                granted.push(permit.unwrap());
                drop(waits.swap_remove(index));
            } else {
                index += 1;
            }
        }
    }
    drop((waits, granted, written));
    clock.sleep(10 * SECOND).await;
    // The whole quota is available again, whatever happened.
    assert!(quota.status().waiting.is_empty());
    let begun = clock.now();
    for _ in 0..per_second {
        send(quota.acquire(1, Priority::Low).await.unwrap(), PermitOutcome::Accepted);
    }
    let elapsed = clock.now() - begun;
    assert!(elapsed <= SECOND + slowest, "{per_second} messages took {elapsed:?}, answers {slowest:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn capacity_is_neither_lost_nor_invented(
        per_second in 1..30_u32,
        acts in prop::collection::vec(act(), 1..300),
    ) {
        let clock = Clock::simulated(Duration::ZERO);
        clock.block_on(act_out(&clock, per_second, acts)).unwrap();
    }
}
