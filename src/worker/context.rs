//! What the functions of a script share: the pipe, the requests under way, the limits.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;

use mlua::MultiValue;
use rustix::time::{ClockId, clock_gettime};

use crate::protocol::{
    AppInfo, ConsoleStep, FailureKind, HostRequest, RequestFailure, StartFrame, ToHost, WorkerLimits,
};

use super::confine;
use super::fault::NativeError;
use super::pipe::HostPipe;
use super::tasks::TaskScheduler;

/// CPU in milliseconds after which the kernel's limit is moved on.
const LIMIT_STEP_MS: u64 = 500;

/// One for each state; reached through `Rc` by every native function.
#[derive(Debug)]
pub(super) struct ScriptContext {
    pub(super) limits: WorkerLimits,
    pub(super) apps: Vec<AppInfo>,
    /// The script's name.
    pub(super) script: String,
    /// The `run` of broadcasts that name none: a job's instant, elsewhere 1.
    pub(super) run: String,
    pub(super) pipe: RefCell<HostPipe>,
    pub(super) tasks: RefCell<TaskScheduler>,
    /// The events of the requests that are not answered.
    requests: RefCell<HashSet<u64>>,
    /// The event whose answer ends the line of a console that runs.
    line_ending: Cell<Option<u64>>,
    /// Whether that line is to end.
    line_ends: Cell<bool>,
    /// Answers taken in so far.
    pub(super) answered: Cell<u64>,
    last_event: Cell<u64>,
    /// Milliseconds of CPU that had been used at the last call to the host.
    cpu_at_last_call: Cell<u64>,
    /// Milliseconds of CPU that had been used when the kernel's limit was last moved on.
    limit_moved_at: Cell<u64>,
    /// The line where the time was last found to be up, as the beginning of an error's text.
    pub(super) over_time_at: RefCell<String>,
}

impl ScriptContext {
    pub(super) fn new(start: &StartFrame, pipe: HostPipe) -> Self {
        Self {
            limits: start.limits,
            apps: start.apps.clone(),
            script: start.script.name.clone(),
            run: start.job.as_ref().map_or_else(|| "1".to_owned(), |job| job.run.clone()),
            pipe: RefCell::new(pipe),
            tasks: RefCell::default(),
            requests: RefCell::default(),
            line_ending: Cell::new(None),
            line_ends: Cell::new(false),
            answered: Cell::new(0),
            last_event: Cell::new(0),
            cpu_at_last_call: Cell::new(cpu_ms()),
            limit_moved_at: Cell::new(0),
            over_time_at: RefCell::default(),
        }
    }

    /// A name for something that will happen.
    pub(super) fn event(&self) -> u64 {
        let event = self.last_event.get() + 1;
        self.last_event.set(event);
        event
    }

    /// Puts a request on its way; its answer will be delivered under the event returned.
    pub(super) fn request(&self, request: HostRequest) -> Result<u64, NativeError> {
        let event = self.event();
        match &request {
            HostRequest::Console(ConsoleStep::Interrupted) => self.line_ending.set(Some(event)),
            HostRequest::Console(ConsoleStep::Next { .. }) => {
                self.line_ending.set(None);
                self.line_ends.set(false);
            }
            _ => {}
        }
        self.pipe.borrow_mut().try_send(&ToHost::Request(event, request)).map_err(|error| {
            RequestFailure::new(FailureKind::Invalid, format!("too large to hand over: {error}"))
        })?;
        self.requests.borrow_mut().insert(event);
        self.reset_cpu_limit();
        Ok(event)
    }

    /// Whether an answer to some request is still to come.
    pub(super) fn awaits_host(&self) -> bool {
        !self.requests.borrow().is_empty()
    }

    /// Takes note of an answer; false when nothing had been asked under that event.
    pub(super) fn note_answer(&self, event: u64) -> bool {
        if !self.requests.borrow_mut().remove(&event) {
            return false;
        }
        self.answered.set(self.answered.get() + 1);
        if self.line_ending.get() == Some(event) {
            self.line_ends.set(true);
        }
        self.reset_cpu_limit();
        true
    }

    /// The CPU limit counts from here.
    pub(super) fn reset_cpu_limit(&self) {
        let now = cpu_ms();
        self.cpu_at_last_call.set(now);
        if now >= self.limit_moved_at.get() + LIMIT_STEP_MS {
            self.limit_moved_at.set(now);
            // The host's own limit is in force all the same.
            let _ = confine::move_cpu_limit(now, self.limits.cpu_ms);
        }
    }

    /// Whether the script has computed for longer than it may without a call to the host.
    pub(super) fn out_of_time(&self) -> bool {
        cpu_ms().saturating_sub(self.cpu_at_last_call.get()) > self.limits.cpu_ms
    }

    /// Whether the line of a console that computes is to end: the host has said so, though nothing waits for it.
    pub(super) fn line_ends(&self) -> bool {
        let Some(event) = self.line_ending.get() else { return false };
        if !self.line_ends.get() {
            let said = self.pipe.try_borrow_mut().is_ok_and(|mut pipe| pipe.has_answer(event));
            self.line_ends.set(said);
        }
        self.line_ends.get()
    }

    /// Something that was waited for has happened.
    pub(super) fn deliver(&self, event: u64, values: MultiValue) {
        self.tasks.borrow_mut().deliver(event, values);
    }
}

fn cpu_ms() -> u64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    u64::try_from(used.tv_sec).unwrap_or(0) * 1000 + u64::try_from(used.tv_nsec).unwrap_or(0) / 1_000_000
}
