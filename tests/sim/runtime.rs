//! One simulated process: a runtime of its own, which the simulation runs until it waits for the time.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

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

pub struct Process {
    // Dropped first, and with it the task that writes to the ledger: what the destructors of `main` do reaches no file.
    runtime: Option<Runtime>,
    main: LocalBoxFuture<'static, ()>,
    is_idle: Arc<AtomicBool>,
    clock: Clock,
    control: Control,
    pub life: Life,
}

impl Process {
    pub fn new(clock: &Clock, control: &Control, life: Life, main: LocalBoxFuture<'static, ()>) -> Self {
        let is_idle = Arc::new(AtomicBool::new(false));
        let hook = {
            let (is_idle, clock, control) = (Arc::clone(&is_idle), clock.clone(), control.clone());
            move || {
                // While something holds the clock, the runtime waits for a thread of the store.
                if !clock.is_held() {
                    is_idle.store(true, Ordering::Relaxed);
                    control.wake();
                }
            }
        };
        // After each poll of a task it is looked whether the process is to stop.
        let runtime = Builder::new_current_thread()
            .enable_all()
            .event_interval(1)
            .on_thread_park(hook)
            .build()
            .unwrap();
        Self { runtime: Some(runtime), main, is_idle, clock: clock.clone(), control: control.clone(), life }
    }

    pub fn run(&mut self) -> Rest {
        let Self { runtime, main, is_idle, clock, control, life } = self;
        is_idle.store(false, Ordering::Relaxed);
        // It may be left from a process that was killed.
        control.takes_gives_way();
        runtime.as_ref().unwrap().block_on(poll_fn(|context| {
            control.runs(*life, context.waker().clone());
            if control.is_dead(*life) {
                return Poll::Ready(Rest::Killed);
            }
            if is_idle.swap(false, Ordering::Relaxed) {
                return Poll::Ready(Rest::Idle);
            }
            if control.takes_gives_way() && !clock.is_held() {
                return Poll::Ready(Rest::GivesWay);
            }
            if Pin::new(&mut *main).poll(context).is_ready() {
                return Poll::Ready(Rest::Ended);
            }
            if !control.polled(*life) {
                return Poll::Ready(Rest::Killed);
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
