//! The limits of a worker that the host enforces.

use std::time::Duration;

use crate::clock::Instant;
use crate::run::interrupt::Interrupt;
use crate::run::process::WorkerProcess;

use super::{RunSpec, SessionEnd};

/// The time beyond its CPU limit in which a script may end with its own error before it is killed.
const CPU_GRACE: Duration = Duration::from_millis(500);

/// The time that a script has after an interrupt, once it has nothing in flight.
const INTERRUPT_GRACE: Duration = Duration::from_secs(2);

/// The `nice` value of a run in a daemon that computes for long.
const NICEST: i32 = 19;

/// The CPU time without a call to the host after which a run in a daemon gets [`NICEST`].
const HOG: Duration = Duration::from_millis(30);

/// Enforces the limits: CPU between two calls, real time, and an end after an interrupt.
pub(super) struct WorkerWatchdog {
    cpu_limit: Duration,
    deadline: Option<Instant>,
    timeout: Duration,
    calls_seen: u64,
    cpu_at_last_call: Duration,
    /// Whether its priority is lowered once it computes for long.
    stands_back: bool,
    /// When an interrupted script must have ended. Set once it has nothing in flight.
    last_respite: Option<Instant>,
}

impl WorkerWatchdog {
    pub(super) fn new(spec: &RunSpec, stands_back: bool, now: Instant) -> Self {
        Self {
            cpu_limit: Duration::from_millis(spec.limits.cpu_ms),
            deadline: spec.timeout.map(|timeout| now + timeout),
            timeout: spec.timeout.unwrap_or_default(),
            calls_seen: 0,
            cpu_at_last_call: Duration::ZERO,
            stands_back,
            last_respite: None,
        }
    }

    pub(super) fn look(
        &mut self,
        process: &WorkerProcess,
        calls: u64,
        interrupt: &Interrupt,
        idle: bool,
        now: Instant,
    ) -> Option<SessionEnd> {
        if self.deadline.is_some_and(|deadline| now >= deadline) {
            return Some(SessionEnd::Stop(format!(
                "the run took longer than its timeout of {} s and was stopped",
                self.timeout.as_secs_f64()
            )));
        }
        if interrupt.finish.is_cancelled() && idle {
            let respite = *self.last_respite.get_or_insert(now + INTERRUPT_GRACE);
            if now >= respite {
                return Some(SessionEnd::Interrupted);
            }
        }
        let cpu = process.cpu()?;
        if self.stands_back && cpu.saturating_sub(self.cpu_at_last_call) > HOG {
            self.stands_back = false;
            process.lower_priority(NICEST);
        }
        if calls != self.calls_seen {
            self.calls_seen = calls;
            self.cpu_at_last_call = cpu;
        } else if cpu.saturating_sub(self.cpu_at_last_call) > self.cpu_limit + CPU_GRACE {
            return Some(SessionEnd::Stop(format!(
                "the script computed for over {} s without a call to the host (`[scripts] cpu`) and was stopped",
                self.cpu_limit.as_secs_f64()
            )));
        }
        None
    }
}
