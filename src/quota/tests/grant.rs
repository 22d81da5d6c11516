//! The rate changes while a quota is in use.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::clock::{Clock, Instant};
use crate::core::Priority;
use crate::quota::{PermitOutcome, Quota, QuotaSettings, SendHistory};

fn rate(per_second: u32) -> NonZeroU32 {
    NonZeroU32::new(per_second).unwrap()
}

/// Sends one message after the other until `end`. Returns when each was written.
async fn send_until(quota: &Quota, clock: &Clock, end: Instant) -> Vec<Instant> {
    let mut sent = Vec::new();
    while clock.now() < end {
        let mut permit = quota.acquire(1, Priority::Normal).await.unwrap();
        permit.written();
        sent.push(clock.now());
        permit.settle(PermitOutcome::Accepted);
    }
    sent
}

/// The most messages in any second that begins at or after `from`.
fn most_in_a_second(sent: &[Instant], from: Instant) -> usize {
    let in_second = |first: &Instant| {
        let within =
            |one: &&Instant| **one >= *first && one.saturating_since(*first) < Duration::from_secs(1);
        sent.iter().filter(within).count()
    };
    sent.iter().filter(|first| **first >= from).map(in_second).max().unwrap_or_default()
}

#[test]
fn another_rate_is_kept_from_the_second_in_which_it_is_granted() {
    let clock = Clock::simulated(Duration::from_secs(1_000_000));
    clock
        .block_on(async {
            let settings =
                QuotaSettings { history: SendHistory::Unused, ..QuotaSettings::new("messages", rate(20)) };
            let quota = Quota::new(settings, clock.clone());
            let start = clock.now();
            let at = |seconds| start + Duration::from_secs(seconds);
            let slow = send_until(&quota, &clock, at(5)).await;
            assert!(quota.set_rate(rate(50), 1.0));
            assert_eq!(quota.status().limit, 50);
            let fast = send_until(&quota, &clock, at(10)).await;
            assert!(quota.set_rate(rate(10), 1.0));
            let slower = send_until(&quota, &clock, at(20)).await;
            assert!(most_in_a_second(&slow, start) <= 20 && slow.len() >= 95, "{}", slow.len());
            assert!(most_in_a_second(&fast, at(5)) <= 50 && fast.len() >= 230, "{}", fast.len());
            assert!(most_in_a_second(&slower, at(10)) <= 10 && slower.len() >= 85, "{}", slower.len());
            // A share of one half.
            assert!(quota.set_rate(rate(10), 0.5));
            let half = send_until(&quota, &clock, at(30)).await;
            assert!(most_in_a_second(&half, at(21)) <= 5 && half.len() >= 40, "{}", half.len());
        })
        .unwrap();
}

#[test]
fn a_rate_below_the_largest_call_takes_a_new_quota() {
    let clock = Clock::simulated(Duration::from_secs(1));
    let settings = QuotaSettings { largest_cost: rate(3), ..QuotaSettings::new("messages", rate(20)) };
    let quota = Quota::new(settings, clock);
    assert!(!quota.set_rate(rate(2), 1.0));
    assert!(!quota.set_rate(rate(20), 0.01));
    assert!(quota.set_rate(rate(3), 1.0));
}
