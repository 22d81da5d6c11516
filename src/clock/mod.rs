//! The project's only source of time: real, or simulated for rehearsals and tests.
//!
//! All code that waits or reads the time is given a [`Clock`]; clippy forbids every other source. Worker deadlines are
//! always real time, so they are given a real clock.

mod virtual_time;

use std::future::Future;
use std::ops::{Add, Sub};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use virtual_time::TurnOrder;
use virtual_time::VirtualTime;

/// A point in a clock's monotonic time, as the duration since the clock was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(Duration);

impl Instant {
    /// The instant at which the clock was made.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// The time from the clock's start to this instant.
    pub const fn since_start(self) -> Duration {
        self.0
    }

    /// The instant this long after the clock's start.
    pub const fn from_start(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// The time from `earlier` to this instant, or zero when `earlier` is the later one.
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// This instant minus `duration`, or the clock's start if that is later.
    pub const fn saturating_sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// Saturates at the largest instant (584 years).
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.saturating_since(earlier)
    }
}

/// The error of [`Clock::timeout`]: the time ran out before the future was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("timed out")]
pub struct Elapsed;

/// A source of time. Clones share it, also between threads.
#[derive(Debug, Clone)]
pub struct Clock(Arc<TimeSource>);

#[derive(Debug)]
enum TimeSource {
    Real {
        origin: tokio::time::Instant,
        /// The wall-clock time at `origin` in microseconds, by the clock that this one follows; 0 if it follows none.
        followed: AtomicU64,
    },
    Virtual(VirtualTime),
}

impl Clock {
    /// A clock of the machine's time.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the machine's clock")]
    pub fn real() -> Self {
        Self(Arc::new(TimeSource::Real { origin: tokio::time::Instant::now(), followed: AtomicU64::new(0) }))
    }

    /// A clock of simulated time. It stands still until no task on the runtime of [`Clock::block_on`] can run, and then
    /// jumps to the next deadline. `unix_time` is the wall-clock time at its start, since 1970-01-01T00:00:00Z.
    pub fn simulated(unix_time: Duration) -> Self {
        Self(Arc::new(TimeSource::Virtual(VirtualTime::new(unix_time))))
    }

    /// A clock of simulated time for several processes that one thread simulates. Only its owner moves it, with
    /// [`Clock::advance_to`].
    pub fn shared(unix_time: Duration, turns: Arc<dyn TurnOrder>) -> Self {
        Self(Arc::new(TimeSource::Virtual(VirtualTime::shared(unix_time, turns))))
    }

    /// Whether other processes live in this clock's time too.
    pub fn has_other_processes(&self) -> bool {
        match &*self.0 {
            TimeSource::Real { .. } => true,
            TimeSource::Virtual(time) => time.is_shared(),
        }
    }

    /// Whether something holds a simulated clock ([`Clock::hold`]).
    pub fn is_held(&self) -> bool {
        matches!(&*self.0, TimeSource::Virtual(time) if time.is_held())
    }

    /// Whether a task has its turn on a shared clock ([`Clock::access`]).
    pub fn is_accessed(&self) -> bool {
        matches!(&*self.0, TimeSource::Virtual(time) if time.is_accessed())
    }

    /// The earliest instant for which a task waits on a simulated clock.
    pub fn next_deadline(&self) -> Option<Instant> {
        match &*self.0 {
            TimeSource::Real { .. } => None,
            TimeSource::Virtual(time) => time.next_deadline(),
        }
    }

    /// Moves a simulated clock forward to an instant, and wakes those who wait for it. Has no effect on a real clock.
    pub fn advance_to(&self, instant: Instant) {
        if let TimeSource::Virtual(time) = &*self.0 {
            time.advance_to(instant);
        }
    }

    pub fn is_simulated(&self) -> bool {
        matches!(*self.0, TimeSource::Virtual(_))
    }

    /// The current instant. It never goes back.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the machine's clock")]
    pub fn now(&self) -> Instant {
        match &*self.0 {
            TimeSource::Real { origin, .. } => {
                Instant(tokio::time::Instant::now().saturating_duration_since(*origin))
            }
            TimeSource::Virtual(time) => time.now(),
        }
    }

    /// The wall-clock time since 1970-01-01T00:00:00Z. The time of a real clock can go back when the machine's clock is
    /// set, unless it follows another ([`Clock::follow`]).
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the machine's clock")]
    pub fn unix_time(&self) -> Duration {
        match &*self.0 {
            TimeSource::Real { followed, .. } => {
                let followed = followed.load(Ordering::Relaxed);
                if followed > 0 {
                    return Duration::from_micros(followed) + self.now().since_start();
                }
                std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default()
            }
            TimeSource::Virtual(time) => time.unix_time(),
        }
    }

    /// Makes the wall-clock time follow that of another clock, which read `theirs` at some instant between `asked` and
    /// now. If both agree within that range, nothing changes. Has no effect on a simulated clock.
    pub fn follow(&self, theirs: Duration, asked: Instant) {
        let TimeSource::Real { followed, .. } = &*self.0 else { return };
        let now = self.now();
        let mine = match followed.load(Ordering::Relaxed) {
            // The other clock was read at the end of the range, because the waiting came before.
            0 => theirs,
            micros => Duration::from_micros(micros) + now.since_start(),
        };
        let agreed = mine.clamp(theirs, theirs + now.saturating_since(asked));
        let origin = agreed.saturating_sub(now.since_start());
        followed.store(u64::try_from(origin.as_micros()).unwrap_or_default().max(1), Ordering::Relaxed);
    }

    /// Sets the wall-clock time of a simulated clock, as a machine's clock is set. It wakes no sleeper. Has no effect
    /// on a real clock.
    pub fn set_unix_time(&self, to: Duration) {
        if let TimeSource::Virtual(time) = &*self.0 {
            time.set_unix_time(to);
        }
    }

    /// Waits until `deadline`. Real timers have a resolution of 1 ms.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that waits on the machine's clock")]
    pub async fn sleep_until(&self, deadline: Instant) {
        match &*self.0 {
            TimeSource::Real { origin, .. } => {
                // If the timer cannot represent the instant, this waits for ever.
                match origin.checked_add(deadline.0) {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            }
            TimeSource::Virtual(time) => time.sleep_until(deadline).await,
        }
    }

    /// Waits for `duration`.
    pub async fn sleep(&self, duration: Duration) {
        self.sleep_until(self.now() + duration).await;
    }

    /// Runs `future` for `duration` at most.
    pub async fn timeout<F: Future>(&self, duration: Duration, future: F) -> Result<F::Output, Elapsed> {
        tokio::select! {
            biased;
            output = future => Ok(output),
            () = self.sleep(duration) => Err(Elapsed),
        }
    }

    /// Keeps a simulated clock from moving for as long as the guard lives, for example while a worker computes or a
    /// request is in flight. Has no effect on a real clock.
    pub fn hold(&self) -> ClockHold {
        if let TimeSource::Virtual(time) = &*self.0 {
            time.hold();
        }
        ClockHold { clock: self.clone(), is_access: false }
    }

    /// Holds the clock, as [`Clock::hold`] does, for an access to what processes share. On a shared clock the accesses
    /// follow one another, so that a simulation is repeatable.
    pub async fn access(&self) -> ClockHold {
        let is_access = match &*self.0 {
            TimeSource::Real { .. } => false,
            TimeSource::Virtual(time) => time.begin_access().await,
        };
        let mut hold = self.hold();
        hold.is_access = is_access;
        hold
    }

    /// Runs `future` to its end on a new current-thread runtime that drives this clock.
    pub fn block_on<F: Future>(&self, future: F) -> std::io::Result<F::Output> {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all();
        if self.is_simulated() {
            let clock = self.clone();
            // Called when no task is ready. All tasks then wait for the clock, or for the holder of a [`ClockHold`].
            builder.on_thread_park(move || {
                if let TimeSource::Virtual(time) = &*clock.0 {
                    time.advance();
                }
            });
        }
        let runtime = builder.build()?;
        let local = tokio::task::LocalSet::new();
        let output = runtime.block_on(local.run_until(future));
        drop(local);
        // A thread that is blocked in a system call must not keep the program from ending.
        runtime.shutdown_background();
        Ok(output)
    }
}

/// A guard: a simulated clock stands still while it lives.
#[derive(Debug)]
pub struct ClockHold {
    clock: Clock,
    is_access: bool,
}

impl Drop for ClockHold {
    fn drop(&mut self) {
        if let TimeSource::Virtual(time) = &*self.clock.0 {
            time.release();
            if self.is_access {
                time.end_access();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simulated_hours_take_no_time_and_keep_their_order() {
        let clock = Clock::simulated(Duration::from_secs(1_000));
        let order = clock
            .block_on(async {
                let order = std::cell::RefCell::new(Vec::new());
                let sleeper = |hours: u64| {
                    let (clock, order) = (&clock, &order);
                    async move {
                        clock.sleep(Duration::from_secs(hours * 3600)).await;
                        order.borrow_mut().push((hours, clock.now().since_start().as_secs()));
                    }
                };
                tokio::join!(sleeper(5), sleeper(1), sleeper(3));
                order.into_inner()
            })
            .unwrap();
        assert_eq!(order, [(1, 3600), (3, 3 * 3600), (5, 5 * 3600)]);
        assert_eq!(clock.unix_time(), Duration::from_secs(1_000 + 5 * 3600));
    }

    #[test]
    fn a_wall_clock_that_is_set_wakes_nobody() {
        let clock = Clock::simulated(Duration::from_secs(1_000));
        clock.block_on(clock.sleep(Duration::from_secs(5))).unwrap();
        clock.set_unix_time(Duration::from_secs(500));
        assert_eq!((clock.unix_time().as_secs(), clock.now().since_start().as_secs()), (500, 5));
        clock.block_on(clock.sleep(Duration::from_secs(5))).unwrap();
        assert_eq!((clock.unix_time().as_secs(), clock.now().since_start().as_secs()), (505, 10));
    }

    #[test]
    fn a_held_clock_stands_still() {
        let clock = Clock::simulated(Duration::ZERO);
        let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
        let hold = clock.hold();
        let thread = std::thread::spawn(move || {
            drop(hold);
            sender.send(()).unwrap();
        });
        clock
            .block_on(async {
                let sleeping = clock.sleep(Duration::from_secs(9));
                // The other thread releases its hold and then wakes this task. The sleeper can end only after that.
                receiver.await.unwrap();
                assert_eq!(clock.now(), Instant::ZERO);
                sleeping.await;
                assert_eq!(clock.now().since_start().as_secs(), 9);
            })
            .unwrap();
        thread.join().unwrap();
    }

    #[test]
    fn the_owner_of_a_shared_clock_moves_it() {
        #[derive(Debug)]
        struct One;
        impl TurnOrder for One {
            fn process(&self) -> u64 {
                1
            }

            fn gives_way(&self) -> bool {
                false
            }
        }
        let clock = Clock::shared(Duration::from_secs(1_000), Arc::new(One));
        assert!(clock.has_other_processes() && !Clock::simulated(Duration::ZERO).has_other_processes());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut sleeping = Box::pin(clock.sleep(Duration::from_secs(9)));
        let mut awake = || {
            runtime.block_on(std::future::poll_fn(|context| {
                std::task::Poll::Ready(sleeping.as_mut().poll(context).is_ready())
            }))
        };
        assert!(!awake());
        assert_eq!(clock.next_deadline(), Some(Instant::from_start(Duration::from_secs(9))));
        clock.advance_to(Instant::from_start(Duration::from_secs(8)));
        assert!(!awake());
        clock.advance_to(Instant::from_start(Duration::from_secs(9)));
        assert!(awake());
        assert_eq!((clock.next_deadline(), clock.unix_time().as_secs()), (None, 1_009));
    }

    #[test]
    fn a_timeout_ends_what_takes_too_long() {
        let clock = Clock::simulated(Duration::ZERO);
        let result =
            clock.block_on(clock.timeout(Duration::from_secs(2), clock.sleep(Duration::from_secs(3))));
        assert_eq!(result.unwrap(), Err(Elapsed));
        assert_eq!(clock.now().since_start().as_secs(), 2);
    }
}
