//! One simulated process: a runtime of its own, which the simulation runs until it waits for the time.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::ThreadId;

use futures_util::future::LocalBoxFuture;
use mooncast::Clock;
use tokio::runtime::{Builder, Runtime};

use crate::control::{Control, Life};

/// Why a process stopped running.
#[derive(Debug, PartialEq, Eq)]
pub enum Rest {
    /// It waits for the time.
    Idle,
    /// Another one goes first.
    GivesWay,
    Killed,
    Ended,
}

/// Why the tasks of `main` are to be polled.
#[derive(Debug, Default)]
struct Woken {
    /// By a task or by the time.
    here: AtomicBool,
    /// By a thread of the store.
    elsewhere: AtomicBool,
}

/// Wakes `main`.
struct MainWaker {
    thread: ThreadId,
    woken: Arc<Woken>,
    control: Control,
}

impl Wake for MainWaker {
    fn wake(self: Arc<Self>) {
        let is_here = std::thread::current().id() == self.thread;
        let flag = if is_here { &self.woken.here } else { &self.woken.elsewhere };
        flag.store(true, Ordering::Relaxed);
        self.control.wake();
    }
}

/// What the runtime has found out before it waits.
#[derive(Debug, Default)]
struct Quiet {
    /// No other task can run: `main` is polled.
    polls: AtomicBool,
    /// It was the store that woke `main`, which is not counted.
    is_of_store: AtomicBool,
    is_idle: AtomicBool,
}

pub struct Process {
    // Dropped first, and with it the task that writes to the ledger: what the destructors of `main` do reaches no file.
    runtime: Option<Runtime>,
    main: LocalBoxFuture<'static, ()>,
    waker: Waker,
    quiet: Arc<Quiet>,
    clock: Clock,
    control: Control,
    pub life: Life,
}

impl Process {
    pub fn new(clock: &Clock, control: &Control, life: Life, main: LocalBoxFuture<'static, ()>) -> Self {
        let (quiet, woken) = (Arc::new(Quiet::default()), Arc::new(Woken::default()));
        woken.here.store(true, Ordering::Relaxed);
        let thread = std::thread::current().id();
        let waker = MainWaker { thread, woken: Arc::clone(&woken), control: control.clone() };
        let hook = {
            let (quiet, clock, control) = (Arc::clone(&quiet), clock.clone(), control.clone());
            // No task can run. `main` runs when nothing else can, and not while the store works for a task: so the order
            // does not depend on how long the store takes.
            move || {
                let is_of_store = woken.elsewhere.swap(false, Ordering::Relaxed);
                if is_of_store || (!clock.is_accessed() && woken.here.load(Ordering::Relaxed)) {
                    quiet.is_of_store.store(is_of_store, Ordering::Relaxed);
                    woken.here.store(false, Ordering::Relaxed);
                    quiet.polls.store(true, Ordering::Relaxed);
                    control.wake();
                } else if !clock.is_held() {
                    quiet.is_idle.store(true, Ordering::Relaxed);
                    control.wake();
                }
            }
        };
        // After each poll of a task it is looked whether the process is to stop. What threads wake runs last.
        let mut builder = Builder::new_current_thread();
        builder.enable_all().event_interval(1).global_queue_interval(u32::MAX).on_thread_park(hook);
        let runtime = builder.build().unwrap();
        let waker = Waker::from(Arc::new(waker));
        let (clock, control) = (clock.clone(), control.clone());
        Self { runtime: Some(runtime), main, waker, quiet, clock, control, life }
    }

    pub fn run(&mut self) -> Rest {
        let Self { runtime, main, waker, quiet, clock, control, life } = self;
        // It may be left from a process that was killed.
        control.takes_gives_way();
        runtime.as_ref().unwrap().block_on(poll_fn(|context| {
            control.runs(*life, context.waker().clone());
            // An access under way ends first: then it does not matter how long the store takes for it.
            if control.is_dead(*life) && !clock.is_accessed() {
                return Poll::Ready(Rest::Killed);
            }
            if quiet.is_idle.swap(false, Ordering::Relaxed) {
                return Poll::Ready(Rest::Idle);
            }
            if quiet.polls.swap(false, Ordering::Relaxed) {
                let is_counted = !quiet.is_of_store.load(Ordering::Relaxed);
                if main.as_mut().poll(&mut Context::from_waker(waker)).is_ready() {
                    return Poll::Ready(Rest::Ended);
                }
                if is_counted && !control.polled(*life) && !clock.is_accessed() {
                    return Poll::Ready(Rest::Killed);
                }
            }
            if control.takes_gives_way() && !clock.is_held() {
                return Poll::Ready(Rest::GivesWay);
            }
            Poll::Pending
        }))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
