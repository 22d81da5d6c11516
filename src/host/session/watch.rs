//! The limits of a worker that the host holds.

use std::time::Duration;

use crate::clock::Instant;
use crate::host::interrupt::Interrupt;
use crate::host::process::WorkerProcess;

use super::{RunSpec, SessionEnd};

/// What a script gets on top of its CPU limit to end with its own error before it is killed.
const CPU_GRACE: Duration = Duration::from_millis(500);

/// What a script gets after an interrupt, once nothing of its is in flight any more.
const INTERRUPT_GRACE: Duration = Duration::from_secs(2);

/// How far a run of a daemon that computes and computes stands back, as `nice` counts it.
const NICEST: i32 = 19;

/// CPU without a call to the host after which a run of a daemon stands back the more.
const HOG: Duration = Duration::from_millis(30);

/// The limits that the host holds: CPU between two calls, real time, an end after an interrupt.
pub(super) struct WorkerWatchdog {
    cpu_limit: Duration,
    deadline: Option<Instant>,
    timeout: Duration,
    calls_seen: u64,
    cpu_at_last_call: Duration,
    /// Whether it is to stand back once it computes for long.
    stands_back: bool,
    /// When an interrupted script has to be gone, once nothing of its is in flight.
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
        if interrupt.is_pressed() && idle {
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
