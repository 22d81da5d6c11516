//! The state that the functions of a script share: the pipe, the requests in progress, the limits.

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

/// CPU time, in milliseconds, after which the kernel's limit is raised again.
const LIMIT_STEP_MS: u64 = 500;

/// Output is written at once this many times in each span of so many milliseconds, and else with what follows.
const PROMPT_WRITES: u32 = 100;
const PROMPT_SPAN_MS: u64 = 100;

/// The context of one Lua state, shared by all native functions through `Rc`.
#[derive(Debug)]
pub(super) struct ScriptContext {
    pub(super) limits: WorkerLimits,
    pub(super) apps: Vec<AppInfo>,
    pub(super) script: String,
    /// The default `run` of broadcasts: a job's scheduled time, otherwise 1.
    pub(super) run: String,
    pub(super) pipe: RefCell<HostPipe>,
    pub(super) tasks: RefCell<TaskScheduler>,
    /// The events of the unanswered requests.
    requests: RefCell<HashSet<u64>>,
    /// The event whose answer ends the running line of a console.
    line_ending: Cell<Option<u64>>,
    /// Whether that line must end.
    line_ends: Cell<bool>,
    /// The number of answers received.
    pub(super) answered: Cell<u64>,
    last_event: Cell<u64>,
    /// When the current span of prompt writes began, in milliseconds, and how many there were.
    prompt_writes: Cell<(u64, u32)>,
    /// The CPU time used at the last call to the host, in milliseconds.
    cpu_at_last_call: Cell<u64>,
    /// The CPU time used when the kernel's limit was last raised, in milliseconds.
    limit_moved_at: Cell<u64>,
    /// The line at which the CPU limit was last exceeded, as the prefix of an error's text.
    pub(super) over_time_at: RefCell<String>,
}

impl ScriptContext {
    /// Returns the script's path below `scripts/`, without its ending. Names of jobs begin with it.
    pub(super) fn short_name(&self) -> &str {
        let path = self.script.strip_prefix("scripts/").unwrap_or(&self.script);
        path.strip_suffix(".lua").unwrap_or(path)
    }

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
            prompt_writes: Cell::default(),
            cpu_at_last_call: Cell::new(cpu_ms()),
            limit_moved_at: Cell::new(0),
            over_time_at: RefCell::default(),
        }
    }

    /// Returns a new id for something that will happen.
    pub(super) fn event(&self) -> u64 {
        let event = self.last_event.get() + 1;
        self.last_event.set(event);
        event
    }

    /// Sends a request. Its answer is delivered under the returned event.
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
            RequestFailure::new(FailureKind::Invalid, format!("the call's arguments are too large: {error}"))
        })?;
        self.requests.borrow_mut().insert(event);
        self.reset_cpu_limit();
        Ok(event)
    }

    /// Writes output that is not written, because the script may be stopped before its next call to the host. Leaves it if
    /// there were too many such writes just now, so that a script that prints much is not slowed down.
    pub(super) fn flush_output(&self) {
        let Ok(mut pipe) = self.pipe.try_borrow_mut() else { return };
        if !pipe.has_unsent() {
            return;
        }
        let now = real_ms();
        let (began, writes) = self.prompt_writes.get();
        let (began, writes) = if now >= began + PROMPT_SPAN_MS { (now, 0) } else { (began, writes) };
        if writes < PROMPT_WRITES {
            self.prompt_writes.set((began, writes + 1));
            pipe.flush();
        }
    }

    /// Whether any request is unanswered.
    pub(super) fn awaits_host(&self) -> bool {
        !self.requests.borrow().is_empty()
    }

    /// Notes an answer. Returns false if no request was made under that event.
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

    /// Starts the CPU limit again from here.
    pub(super) fn reset_cpu_limit(&self) {
        let now = cpu_ms();
        self.cpu_at_last_call.set(now);
        if now >= self.limit_moved_at.get() + LIMIT_STEP_MS {
            self.limit_moved_at.set(now);
            // If this fails, the host's own limit still applies.
            let _ = confine::move_cpu_limit(now, self.limits.cpu_ms);
        }
    }

    /// Whether the script has computed longer than allowed without a call to the host.
    pub(super) fn out_of_time(&self) -> bool {
        cpu_ms().saturating_sub(self.cpu_at_last_call.get()) > self.limits.cpu_ms
    }

    /// Whether the running line of a console must end. The host's answer is looked up here, because a line that
    /// computes does not wait for it.
    pub(super) fn line_ends(&self) -> bool {
        let Some(event) = self.line_ending.get() else { return false };
        if !self.line_ends.get() {
            let said = self.pipe.try_borrow_mut().is_ok_and(|mut pipe| pipe.has_answer(event));
            self.line_ends.set(said);
        }
        self.line_ends.get()
    }

    /// Delivers the result of an event to the task that waits for it.
    pub(super) fn deliver(&self, event: u64, values: MultiValue) {
        self.tasks.borrow_mut().deliver(event, values);
    }
}

fn cpu_ms() -> u64 {
    clock_ms(ClockId::ProcessCPUTime)
}

fn real_ms() -> u64 {
    clock_ms(ClockId::Monotonic)
}

fn clock_ms(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1000 + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000_000
}
