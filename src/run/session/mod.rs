//! One worker from its start to its end: the host reads its frames, answers its requests and enforces its limits.
//!
//! - `requests`: the frames of the worker; `outgoing`: the frames to it; `watch`: its limits.

mod outgoing;
mod requests;
mod watch;

use std::cell::Cell;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use outgoing::OutgoingFrames;
use tokio::io::AsyncReadExt;
use tokio::task::JoinSet;
use tracing::Instrument as _;
use tracing::field::Empty;
use tracing::{Span, info_span};
use watch::WorkerWatchdog;

use crate::clock::Clock;
use crate::protocol::{
    AppInfo, FrameDecoder, JobStart, LoadMode, LuaSource, ScriptError, StartFrame, ToHost, VERSION,
    WorkerLimits,
};

use super::arguments::RunArguments;
use super::exit_reason;
use super::figures::WorkerUsage;
use super::interrupt::Interrupt;
use super::process::{self, WorkerPipes, WorkerProcess};
use super::services::RunServices;
use super::variables::GrantedVariables;

/// The interval at which a worker's limits are checked.
const LOOK: Duration = Duration::from_millis(100);

/// The memory is checked once in this many checks.
const LOOKS_AT_MEMORY: u32 = 10;

/// Bytes read from a worker at once.
const READ: usize = 64 * 1024;

/// The most bytes that are read of a worker once it is stopped, and how long they are waited for.
const LAST_OUTPUT: usize = 1024 * 1024;
const LAST_WAIT: Duration = Duration::from_secs(1);

/// The requests of one worker that are handled before the others get their turn.
const REQUESTS_IN_TURN: u64 = 32;

/// The unanswered requests that a worker may have, beyond one for each task that it may have.
const MORE_REQUESTS: usize = 100;

/// The `nice` value of a run in a daemon: its priority is below that of the host and of other processes.
const NICE: i32 = 5;

/// The path of the running binary. The kernel resolves it even after the file was replaced.
pub const OWN_BINARY: &str = "/proc/self/exe";

/// What to run, and within which limits.
#[derive(Debug)]
pub(super) struct RunSpec {
    /// The binary that workers are started from: [`OWN_BINARY`], except where a test embeds the host.
    pub(super) program: PathBuf,
    /// The name and text of the script.
    pub(super) script: LuaSource,
    /// The job to run, with [`LoadMode::Job`].
    pub(super) job: Option<JobStart>,
    /// The purpose of the run, such as to run the script, to check it, or to load its jobs.
    pub(super) mode: LoadMode,
    /// The arguments of the script.
    pub(super) args: RunArguments,
    /// The limits of the worker: memory, CPU and tasks.
    pub(super) limits: WorkerLimits,
    /// The longest real time of the whole run; `None` for no limit.
    pub(super) timeout: Option<Duration>,
    /// The seed of `math.random`.
    pub(super) seed: u64,
}

/// How a run ended.
#[derive(Debug)]
pub enum RunEnd {
    /// The script ran to its end.
    Finished,
    /// The script failed, or was stopped.
    Failed(RunError),
    Interrupted,
}

/// Why a script did not run to its end.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RunError {
    /// The script raised an error that it did not catch.
    #[error("{}", .0.message)]
    Script(ScriptError),
    /// The host stopped it, or its process died.
    #[error("{0}")]
    Stopped(String),
    /// The process could not be started.
    #[error("a process for the script could not be started: {0}")]
    NotStarted(String),
}

impl RunEnd {
    /// Hides the secrets that the run has named in the error that ended it. Another service can repeat one in its answer.
    pub(super) fn hide_secrets(&mut self, variables: &GrantedVariables) {
        match self {
            Self::Failed(RunError::Script(error)) => {
                variables.hide_secrets(&mut error.message);
                error.traceback.iter_mut().for_each(|frame| variables.hide_secrets(frame));
            }
            Self::Failed(RunError::Stopped(why) | RunError::NotStarted(why)) => variables.hide_secrets(why),
            Self::Finished | Self::Interrupted => {}
        }
    }
}

/// Runs a script in a worker of its own. When this returns, the worker has ended and everything that it had in flight
/// is settled.
pub(super) async fn run_script(spec: RunSpec, services: Rc<RunServices>, interrupt: Interrupt) -> RunEnd {
    let (process, pipes) = match process::start(&spec.program) {
        Ok(started) => started,
        Err(error) => return RunEnd::Failed(RunError::NotStarted(error.to_string())),
    };
    let beside = spec.mode.only_declares() || services.job.is_some();
    if beside {
        process.lower_priority(NICE);
    }
    let session = WorkerSession {
        outgoing: Rc::default(),
        answering: JoinSet::new(),
        most_requests: spec.limits.tasks as usize + MORE_REQUESTS,
        // The limits of a worker are in real time, even if its script sees a simulated clock.
        clock: Clock::real(),
        services,
        interrupt,
        process,
        mode: spec.mode,
        declaring: spec.mode.only_declares(),
        beside,
        calls: 0,
        under_way: Rc::default(),
        peak_memory: None,
    };
    let span = span_of(&spec);
    let ended = Box::pin(session.run(spec, pipes)).instrument(span.clone()).await;
    if matches!(ended, RunEnd::Failed(_)) {
        span.record("otel.status_code", "ERROR");
    }
    ended
}

/// Returns the tracing span of a run. A run that only checks a script has none.
fn span_of(spec: &RunSpec) -> Span {
    let script = &*spec.script.name;
    match (&spec.job, spec.mode) {
        (Some(job), _) => info_span!(
            target: "traces",
            "job",
            job = job.name,
            run = job.run,
            attempt = job.attempt,
            script,
            otel.status_code = Empty,
        ),
        (None, LoadMode::Run) => info_span!(target: "traces", "script", script, otel.status_code = Empty),
        (None, _) => Span::none(),
    }
}

struct WorkerSession {
    outgoing: Rc<OutgoingFrames>,
    answering: JoinSet<()>,
    most_requests: usize,
    clock: Clock,
    services: Rc<RunServices>,
    interrupt: Interrupt,
    process: WorkerProcess,
    mode: LoadMode,
    /// Whether the script's top level is running, in a mode in which it may only declare jobs.
    declaring: bool,
    /// Whether it runs beside others in a daemon, with a lower priority.
    beside: bool,
    /// The number of requests so far.
    calls: u64,
    /// The calls to outside that are not answered yet. An interrupt waits for them.
    under_way: Rc<Cell<usize>>,
    /// The peak memory of the worker as last read, in bytes.
    peak_memory: Option<u64>,
}

/// Why the exchange of frames ended.
enum SessionEnd {
    Done(Result<(), ScriptError>),
    /// The pipe was closed: the worker has ended.
    Gone,
    /// The host stops the worker, for this reason.
    Stop(String),
    Interrupted,
}

impl WorkerSession {
    async fn run(mut self, spec: RunSpec, pipes: WorkerPipes) -> RunEnd {
        self.services.broadcasts.of_script(&spec.script);
        self.services.inputs.script(&spec.script, &spec.args.given);
        let memory = spec.limits.memory;
        let writer = Rc::clone(&self.outgoing);
        let writing = tokio::task::spawn_local(async move { writer.write_to(pipes.input).await });
        let words = tokio::task::spawn_local(process::stderr_text(pipes.errors));
        let watch = WorkerWatchdog::new(&spec, self.beside, self.clock.now());
        self.begin(spec);

        let mut output = pipes.output;
        let mut frames = FrameDecoder::<ToHost>::default();
        let close = self.converse(&mut output, &mut frames, watch).await;
        let memory_used = self.process.peak_memory().max(self.peak_memory);
        if !matches!(close, SessionEnd::Done(_)) {
            self.process.kill();
            self.take_last_output(output, frames).await;
        }
        self.outgoing.close();
        // A script that ran to its end waits for nothing. Any call that still waits was made by a script that did
        // not.
        self.outgoing.release_clock();
        self.services.stop.cancel();
        let finishing = async {
            while self.answering.join_next().await.is_some() {}
            self.services.broadcasts.end(self.services.job.is_some()).await;
        };
        tokio::select! {
            biased;
            () = finishing => {}
            // No calls are waiting for the answers now.
            () = self.interrupt.end.cancelled() => self.services.tally.give_up(),
        }
        self.answering.abort_all();
        writing.abort();

        // A simulated clock stands still until the process has ended.
        let hold = self.services.clock.hold();
        let (status, cpu) = self.process.wait().await;
        let status = status.ok();
        drop(hold);
        WorkerUsage { cpu, memory: memory_used }.count();
        match close {
            SessionEnd::Done(_) | SessionEnd::Gone if self.interrupt.finish.is_cancelled() => {
                RunEnd::Interrupted
            }
            SessionEnd::Interrupted => RunEnd::Interrupted,
            SessionEnd::Done(Ok(())) => RunEnd::Finished,
            SessionEnd::Done(Err(error)) => RunEnd::Failed(RunError::Script(error)),
            SessionEnd::Stop(why) => RunEnd::Failed(RunError::Stopped(why)),
            SessionEnd::Gone => {
                let words = words.await.unwrap_or_default();
                RunEnd::Failed(RunError::Stopped(exit_reason::describe(status, &words, memory)))
            }
        }
    }

    fn begin(&self, spec: RunSpec) {
        let start = StartFrame {
            version: VERSION,
            mode: spec.mode,
            script: spec.script,
            job: spec.job,
            args: spec.args.positional,
            named: spec.args.named,
            limits: spec.limits,
            seed: spec.seed,
            apps: self
                .services
                .apps
                .iter()
                .map(|app| AppInfo { name: app.name().to_owned(), limits: app.limits() })
                .collect(),
        };
        self.outgoing.push_start(Box::new(start), &self.services.clock);
    }

    /// Takes in the frames that have arrived. The host has one thread, so other tasks get a turn in between.
    async fn take_in_turns(&mut self, frames: &mut FrameDecoder<ToHost>) -> Option<SessionEnd> {
        loop {
            let turn = self.calls + REQUESTS_IN_TURN;
            if let Some(end) = self.take_in(frames, turn) {
                return Some(end);
            }
            tokio::task::yield_now().await;
            if self.calls < turn {
                return None;
            }
        }
    }

    /// Reads frames and enforces limits until either ends the session. While the run holds all the memory that it
    /// may, this reads nothing, so the worker and its script wait.
    async fn converse(
        &mut self,
        output: &mut (impl AsyncReadExt + Unpin),
        frames: &mut FrameDecoder<ToHost>,
        mut watch: WorkerWatchdog,
    ) -> SessionEnd {
        let memory = Rc::clone(&self.services.memory);
        frames.make_room(READ);
        // The reservation for a large frame: the part that has arrived and the part still to come.
        let mut incoming = memory.of_request(0);
        let mut next_look = self.clock.now() + LOOK;
        let interrupt = self.interrupt.clone();
        let mut stopping = false;
        let mut looks: u32 = 0;
        loop {
            // Finished answers are removed, so that the length of the set is the number of unfinished ones.
            while self.answering.try_join_next().is_some() {}
            let freed = memory.freed();
            let missing = frames.missing();
            let wanted = (frames.buffer().len() + missing) as u64;
            let admitted = wanted <= incoming.bytes() || memory.admits(wanted);
            if admitted && missing > READ && incoming.bytes() < wanted {
                incoming.set(wanted);
                frames.buffer().reserve(missing);
            }
            if !admitted {
                // The calls that hold the memory may wait for a simulated clock.
                self.outgoing.release_clock();
            }
            tokio::select! {
                () = freed, if !admitted => {}
                read = output.read_buf(frames.buffer()), if admitted => match read {
                    Ok(0) => return SessionEnd::Gone,
                    Ok(_) => {
                        if frames.missing() == 0 {
                            incoming.set(0);
                        }
                        if self.peak_memory.is_none() {
                            // Read early too, so that a worker that ends soon has at least one reading.
                            self.peak_memory = self.process.peak_memory();
                        }
                        if let Some(close) = self.take_in_turns(frames).await {
                            return close;
                        }
                        frames.make_room(READ);
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => return SessionEnd::Gone,
                },
                () = self.clock.sleep_until(next_look) => {
                    next_look = self.clock.now() + LOOK;
                    let idle = self.under_way.get() == 0;
                    if looks.is_multiple_of(LOOKS_AT_MEMORY) {
                        self.peak_memory = self.process.peak_memory().max(self.peak_memory);
                    }
                    looks += 1;
                    if let Some(close) = watch.look(&self.process, self.calls, &self.interrupt, idle, self.clock.now()) {
                        return close;
                    }
                }
                () = interrupt.finish.cancelled(), if !stopping => {
                    stopping = true;
                    self.services.stop.cancel();
                }
                () = interrupt.end.cancelled() => return SessionEnd::Interrupted,
            }
        }
    }
}
