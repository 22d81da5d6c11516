//! Limits the tries of tokens: after some wrong ones, an address must wait.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;

use crate::clock::{Clock, Instant};
use crate::web::answer::ApiError;

/// The wrong tokens that an address may show within [`WINDOW`].
const TRIES: usize = 10;

const WINDOW: Duration = Duration::from_mins(1);

/// The maximum number of addresses that are remembered. Beyond it, those that failed longest ago are forgotten.
const ADDRESSES: usize = 10_000;

/// The failed tries of the last minute, by address.
pub(in crate::web) struct LoginLimiter {
    clock: Clock,
    failures: Mutex<BTreeMap<IpAddr, VecDeque<Instant>>>,
}

impl LoginLimiter {
    pub(in crate::web) fn new(clock: Clock) -> Self {
        Self { clock, failures: Mutex::default() }
    }

    /// Refuses an address that has shown too many wrong tokens.
    ///
    /// # Errors
    ///
    /// 429, with the time to wait.
    pub(super) fn admit(&self, address: IpAddr) -> Result<(), ApiError> {
        let now = self.clock.now();
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(tries) = failures.get_mut(&counted(address)) else { return Ok(()) };
        forget(tries, now);
        match tries.front() {
            Some(first) if tries.len() >= TRIES => {
                let wait = WINDOW.saturating_sub(now.saturating_since(*first)).as_secs() + 1;
                Err(ApiError::too_many_tries(wait))
            }
            _ => Ok(()),
        }
    }

    /// Counts a wrong token.
    pub(super) fn failed(&self, address: IpAddr) {
        let now = self.clock.now();
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let address = counted(address);
        if failures.len() >= ADDRESSES && !failures.contains_key(&address) {
            failures.retain(|_, tries| {
                forget(tries, now);
                !tries.is_empty()
            });
            if failures.len() >= ADDRESSES {
                let last = |tries: &VecDeque<Instant>| tries.back().copied();
                let oldest = failures.iter().min_by_key(|(_, tries)| last(tries)).map(|(of, _)| *of);
                oldest.and_then(|oldest| failures.remove(&oldest));
            }
        }
        let tries = failures.entry(address).or_default();
        forget(tries, now);
        if tries.len() < TRIES {
            tries.push_back(now);
        }
    }
}

fn forget(tries: &mut VecDeque<Instant>, now: Instant) {
    while tries.front().is_some_and(|first| now.saturating_since(*first) >= WINDOW) {
        tries.pop_front();
    }
}

/// The address under which a caller is counted: one of `IPv6` has a whole `/64`.
fn counted(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

impl ApiError {
    /// 429: the address must wait this many seconds.
    fn too_many_tries(wait: u64) -> Self {
        let why = format!(
            "this address has shown {TRIES} wrong tokens within a minute; try again in {wait} s, and check the token"
        );
        Self { retry_after: Some(wait), ..Self::new(StatusCode::TOO_MANY_REQUESTS, why) }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn address(number: u32) -> IpAddr {
        Ipv4Addr::from(number).into()
    }

    #[test]
    fn an_address_waits_after_ten_wrong_tokens_and_no_other_does() {
        let clock = Clock::simulated(Duration::from_hours(494_528));
        let limiter = LoginLimiter::new(clock.clone());
        let (one, other) = (address(1), address(2));
        let tries = async {
            for _ in 0..TRIES {
                limiter.admit(one).unwrap();
                limiter.failed(one);
            }
            let refused = limiter.admit(one).unwrap_err();
            assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
            assert!((1..=61).contains(&refused.retry_after.unwrap()), "{refused:?}");
            limiter.admit(other).unwrap();
            clock.sleep(WINDOW).await;
            limiter.admit(one).unwrap();
        };
        clock.block_on(tries).unwrap();
    }

    #[test]
    fn the_addresses_of_a_network_of_ipv6_count_as_one() {
        let of = |text: &str| counted(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::3"), of("2001:db8:1:2:ffff::1"));
        assert_ne!(of("2001:db8:1:2::3"), of("2001:db8:1:3::3"));
    }

    #[test]
    fn memory_is_bounded_and_who_failed_last_is_remembered() {
        let limiter = LoginLimiter::new(Clock::simulated(Duration::from_hours(494_528)));
        let more = u32::try_from(ADDRESSES).unwrap() + 20;
        let failing = async {
            for number in 0..more {
                limiter.clock.sleep(Duration::from_millis(1)).await;
                for _ in 0..TRIES {
                    limiter.failed(address(number));
                }
            }
        };
        limiter.clock.block_on(failing).unwrap();
        let kept = limiter.failures.lock().unwrap();
        assert_eq!(kept.len(), ADDRESSES);
        assert!(kept.values().all(|tries| tries.len() <= TRIES));
        assert!(!kept.contains_key(&address(19)) && kept.contains_key(&address(20)));
        drop(kept);
        limiter.admit(address(more - 1)).unwrap_err();
    }
}
