//! The expected wait of every waiting call is the wait that it has.

use std::cell::RefCell;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::time::Duration;

use crate::clock::Clock;
use crate::core::Priority;
use crate::quota::{PermitOutcome, Quota, QuotaSettings, SendHistory};

/// The largest difference, in spacings, between the wait expected at each of `looks` (in seconds) and the actual one,
/// with a queue of `seconds`.
fn largest_error(
    per_second: u32,
    seconds: u32,
    history: SendHistory,
    priorities: &'static [Priority],
    looks: &[f64],
) -> f64 {
    let clock = Clock::simulated(Duration::ZERO);
    let settings =
        QuotaSettings { history, ..QuotaSettings::new("messages", NonZeroU32::new(per_second).unwrap()) };
    let quota = Quota::new(settings, clock.clone());
    let served: Rc<RefCell<Vec<(Priority, f64)>>> = Rc::default();
    let looked: Vec<(f64, Vec<_>)> = clock
        .block_on(async {
            let calls = usize::try_from(per_second * seconds).unwrap();
            for number in 0..calls {
                let (clock, quota, served) = (clock.clone(), quota.clone(), Rc::clone(&served));
                let priority = priorities[number % priorities.len()];
                tokio::task::spawn_local(async move {
                    let mut permit = quota.acquire(1, priority).await.unwrap();
                    served.borrow_mut().push((priority, clock.now().since_start().as_secs_f64()));
                    permit.written();
                    clock.sleep(Duration::from_millis(20)).await;
                    permit.answered(PermitOutcome::Accepted);
                });
            }
            let mut looked = Vec::new();
            for look in looks {
                clock.sleep_until(crate::clock::Instant::from_start(Duration::from_secs_f64(*look))).await;
                tokio::task::yield_now().await;
                let newcomer = quota.expected_wait(1, Priority::Low);
                let waiters = quota.waiters();
                assert!(
                    waiters
                        .iter()
                        .all(|waiter| waiter.expected <= newcomer || waiter.priority < Priority::Low)
                );
                looked.push((*look, waiters));
            }
            clock.sleep(Duration::from_secs(20)).await;
            looked
        })
        .unwrap();
    let served = served.borrow();
    let mut largest: f64 = 0.0;
    for (look, waiters) in looked {
        assert!(!waiters.is_empty(), "nobody waits at {look} s");
        for priority in Priority::ALL {
            let expected: Vec<_> = waiters.iter().filter(|waiter| waiter.priority == priority).collect();
            let came: Vec<_> = served.iter().filter(|(of, _)| *of == priority).collect();
            for (waiter, (_, at)) in expected.iter().rev().zip(came.iter().rev()) {
                let error = (look + waiter.expected.as_secs_f64() - at).abs() * f64::from(per_second);
                largest = largest.max(error);
            }
        }
    }
    largest
}

#[test]
fn within_one_spacing_or_20_ms() {
    // At 20 a second, the spread is known from 5 s on.
    for per_second in [20, 50, 100] {
        let error =
            largest_error(per_second, 13, SendHistory::Unused, &[Priority::Normal], &[5.0, 7.3, 11.9]);
        println!("{per_second}/s: {error:.2} spacings off at most");
        assert!(error <= (f64::from(per_second) * 0.02).max(1.0), "{per_second}/s: {error} spacings");
    }
}

#[test]
fn within_one_spacing_after_a_start_of_which_nothing_is_known() {
    let error = largest_error(20, 3, SendHistory::Unknown, &[Priority::Normal], &[0.01, 0.5, 1.2]);
    println!("{error:.2} spacings off at most");
    // The time that answers take is not known yet.
    assert!(error <= 3.0, "{error} spacings");
}

#[test]
fn within_two_spacings_where_priorities_mix() {
    let error = largest_error(20, 12, SendHistory::Unused, &Priority::ALL, &[5.0, 7.3]);
    println!("{error:.2} spacings off at most");
    assert!(error <= 2.0, "{error} spacings");
}
