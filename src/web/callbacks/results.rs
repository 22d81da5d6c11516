//! Counts and logs what becomes of callbacks, and limits how many are answered as failures.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::counter;

use crate::clock::Instant;

/// The most failures within [`WINDOW`]. The service bans a rule after 90 (contract). More are answered 200, and their
/// records come from the history.
const MOST_FAILURES: usize = 60;

const WINDOW: Duration = Duration::from_secs(30);

/// The minimum time between two log lines about callbacks with the same result.
const TOLD_EVERY: Duration = Duration::from_mins(1);

/// What became of a callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::web) enum CallbackResult {
    /// It is in the ledger.
    Stored,
    /// A callback with its id is in the ledger.
    Repeated,
    /// It concerns nothing here.
    Dropped,
    /// Its signature is right, but it cannot be read.
    Unreadable,
    /// It was wanted and not stored; the service was asked to send it again.
    Failed,
    /// It was wanted and not stored, and the limit of failures was reached.
    Lost,
    /// It has no signature that could be checked.
    Unsigned,
    /// Its signature is wrong.
    Forged,
    /// It is another app's.
    OtherApp,
    /// The app has no callback secret.
    NoSecret,
}

impl CallbackResult {
    const fn name(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Repeated => "repeated",
            Self::Dropped => "dropped",
            Self::Unreadable => "unreadable",
            Self::Failed => "failed",
            Self::Lost => "lost",
            Self::Unsigned => "unsigned",
            Self::Forged => "forged",
            Self::OtherApp => "other_app",
            Self::NoSecret => "no_secret",
        }
    }

    /// What the log says, if operators should know.
    const fn warning(self) -> Option<&'static str> {
        match self {
            Self::Stored | Self::Repeated | Self::Dropped => None,
            Self::Unreadable => Some(
                "callback dropped: its signature is right, but a field that this version of Mooncast needs is missing",
            ),
            Self::Failed => Some(
                "callback not stored within 100 ms, so the service was asked to send it again; check the disk or the server of the ledger",
            ),
            Self::Lost => Some(
                "callback dropped: more than 60 in 30 s could not be stored, and the service would ban the callback rule; check the disk or the server of the ledger",
            ),
            Self::Unsigned => {
                Some("callback refused: its body has no signature; check who posts to this address")
            }
            Self::Forged => Some(
                "callback refused: its signature is wrong; set MOONCAST_CALLBACK_SECRET, or `callback_secret` of the app, to the secret of the callback rule in the service's console",
            ),
            Self::OtherApp => Some(
                "callback refused: it is an event of another app; in that app's callback rule, name the address of that app",
            ),
            Self::NoSecret => Some(
                "callback refused: the app has no callback secret; set MOONCAST_CALLBACK_SECRET, or `callback_secret` of the app, to the secret of the callback rule in the service's console",
            ),
        }
    }
}

/// Counts the results of callbacks.
#[derive(Default)]
pub(in crate::web) struct CallbackResults {
    failures: Mutex<VecDeque<Instant>>,
    /// For each result that is logged: how many since the last line, and when that line was written.
    logged: Mutex<BTreeMap<CallbackResult, (u64, Option<Instant>)>>,
}

impl CallbackResults {
    /// Returns the result of a callback that could not be stored: `Failed`, or `Lost` once the limit is reached.
    pub(super) fn failure(&self, now: Instant) -> CallbackResult {
        let mut failures = locked(&self.failures);
        while failures.front().is_some_and(|first| now.saturating_since(*first) >= WINDOW) {
            failures.pop_front();
        }
        if failures.len() >= MOST_FAILURES {
            return CallbackResult::Lost;
        }
        failures.push_back(now);
        CallbackResult::Failed
    }

    /// Counts a result, and logs it at a limited rate.
    pub(super) fn count(&self, app: &str, result: CallbackResult, now: Instant) {
        counter!("mooncast_callbacks_total", "app" => app.to_owned(), "result" => result.name()).increment(1);
        let Some(warning) = result.warning() else { return };
        let mut logged = locked(&self.logged);
        let (callbacks, last) = logged.entry(result).or_default();
        *callbacks += 1;
        if last.is_none_or(|last| now.saturating_since(last) >= TOLD_EVERY) {
            *last = Some(now);
            tracing::warn!(app, callbacks = std::mem::take(callbacks), "{warning}");
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn at_most_sixty_failures_in_thirty_seconds_are_answered_as_such() {
        let clock = Clock::simulated(Duration::from_hours(500_000));
        let results = CallbackResults::default();
        let failed = |many: usize| {
            let failed = (0..many).filter(|_| results.failure(clock.now()) == CallbackResult::Failed);
            failed.count()
        };
        let sleep = |time| clock.block_on(clock.sleep(time)).unwrap();
        assert_eq!(failed(40), 40);
        sleep(Duration::from_secs(20));
        assert_eq!(failed(40), 20);
        sleep(Duration::from_secs(9));
        assert_eq!(failed(40), 0);
        sleep(Duration::from_secs(1));
        assert_eq!(failed(100), 40, "the first forty are out of the window");
        // Over any time, no window has more than sixty.
        let mut times = Vec::new();
        for _ in 0..3000 {
            sleep(Duration::from_millis(50));
            if failed(1) == 1 {
                times.push(clock.now());
            }
        }
        let within = |pair: &[Instant]| pair[60].saturating_since(pair[0]) >= WINDOW;
        assert!(times.len() > 200 && times.windows(61).all(within), "{}", times.len());
    }
}
