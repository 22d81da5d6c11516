//! One worker from its start to its end: the host reads its frames, answers its requests and enforces its limits.

mod outgoing;
mod watch;

use std::cell::Cell;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::task::JoinSet;
use tracing::field::Empty;
use tracing::{Instrument as _, Span, info_span};

use crate::clock::Clock;
use crate::protocol::{
    AppInfo, FrameDecoder, HostRequest, HostResponse, JobStart, LoadMode, LuaSource, RequestFailure,
    ScriptError, StartFrame, ToHost, VERSION, WorkerLimits,
};

use super::budget::MemoryReservation;
use super::figures::WorkerUsage;
use super::interrupt::Interrupt;
use super::process::{self, WorkerPipes, WorkerProcess};
use super::services::RunServices;
use super::{answers, exit_reason, reserve};
use outgoing::OutgoingFrames;
use watch::WorkerWatchdog;

/// The interval at which a worker's limits are checked.
const LOOK: Duration = Duration::from_millis(100);

/// The memory is checked once in this many checks.
const LOOKS_AT_MEMORY: u32 = 10;

/// Bytes read from a worker at once.
const READ: usize = 64 * 1024;

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
    pub(super) args: Vec<String>,
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
    let ended = session.run(spec, pipes).instrument(span.clone()).await;
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
    /// Whether the top level is still running in a mode in which it may only declare.
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
        self.services.inputs.script(&spec.script, &spec.args);
        let memory = spec.limits.memory;
        let writer = Rc::clone(&self.outgoing);
        let writing = tokio::task::spawn_local(async move { writer.write_to(pipes.input).await });
        let words = tokio::task::spawn_local(process::stderr_text(pipes.errors));
        let watch = WorkerWatchdog::new(&spec, self.beside, self.clock.now());
        self.begin(spec);

        let close = self.converse(pipes.output, watch).await;
        let memory_used = self.process.peak_memory().max(self.peak_memory);
        if !matches!(close, SessionEnd::Done(_)) {
            self.process.kill();
        }
        self.outgoing.close();
        // A script that ran to its end waits for nothing. Any call that still waits was made by a script that did
        // not.
        self.outgoing.release_clock();
        self.services.stop.press();
        let finishing = async {
            while self.answering.join_next().await.is_some() {}
            self.services.broadcasts.end(self.services.job.is_some()).await;
        };
        tokio::select! {
            biased;
            () = finishing => {}
            // No calls are waiting for the answers now.
            () = self.interrupt.pressed(2) => self.services.tally.give_up(),
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
            SessionEnd::Done(_) | SessionEnd::Gone if self.interrupt.is_pressed() => RunEnd::Interrupted,
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
            args: spec.args,
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

    /// Reads frames and enforces limits until either ends the session. While the run holds all the memory that it
    /// may, this reads nothing, so the worker and its script wait.
    async fn converse(
        &mut self,
        mut output: impl AsyncReadExt + Unpin,
        mut watch: WorkerWatchdog,
    ) -> SessionEnd {
        let memory = Rc::clone(&self.services.memory);
        let mut frames = FrameDecoder::<ToHost>::default();
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
                        loop {
                            let turn = self.calls + REQUESTS_IN_TURN;
                            if let Some(close) = self.take_in(&mut frames, turn) {
                                return close;
                            }
                            // The host has one thread: other tasks get their turn here.
                            tokio::task::yield_now().await;
                            if self.calls < turn {
                                break;
                            }
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
                () = interrupt.pressed(1), if !stopping => {
                    stopping = true;
                    self.services.stop.press();
                }
                () = interrupt.pressed(2) => return SessionEnd::Interrupted,
            }
        }
    }

    /// Handles the frames that have arrived, until the total number of requests reaches `calls`.
    fn take_in(&mut self, frames: &mut FrameDecoder<ToHost>, calls: u64) -> Option<SessionEnd> {
        loop {
            if self.calls >= calls {
                return None;
            }
            match frames.take() {
                Ok(None) => return None,
                Ok(Some(ToHost::Request(id, request))) => {
                    self.calls += 1;
                    if self.answering.len() > self.most_requests {
                        return Some(SessionEnd::Stop(
                            "the script's process asks for more at once than it may".to_owned(),
                        ));
                    }
                    if self.mode == LoadMode::Check && !request.only_looks() {
                        match answers::refuse(&self.services, &request) {
                            // The request would have an effect, which a check must not have. As far as a check can
                            // tell, the script is correct.
                            None => return Some(SessionEnd::Done(Ok(()))),
                            Some(failure) => {
                                self.refuse(id, HostResponse::Failed(Box::new(failure)));
                            }
                        }
                    } else if self.mode == LoadMode::Check && matches!(request, HostRequest::Test(_)) {
                        // A file of tests is only checked.
                        self.refuse(id, HostResponse::Nothing);
                    } else if self.declaring && !request.only_looks() {
                        self.services.jobs.refuse();
                        let failure = answers::only_declares(&self.services, &request);
                        self.refuse(id, HostResponse::Failed(Box::new(failure)));
                    } else {
                        self.answer(id, request, frames.taken());
                    }
                }
                Ok(Some(ToHost::Print(bytes))) => self.services.output.print(&bytes),
                Ok(Some(ToHost::Log(line))) => self.services.output.log(&line.clipped()),
                Ok(Some(ToHost::Waiting(answers))) => self.outgoing.waiting(answers),
                Ok(Some(ToHost::Noted(number, place))) => self.services.policy.place(number, &place),
                Ok(Some(ToHost::Declared)) => {
                    self.declaring = false;
                    self.services.jobs.end();
                }
                Ok(Some(ToHost::Hello(VERSION))) => {}
                Ok(Some(ToHost::Hello(version))) => {
                    return Some(SessionEnd::Stop(format!(
                        "the program was replaced while it ran: its worker speaks version {version}, not {VERSION}; start it again"
                    )));
                }
                Ok(Some(ToHost::Done(result))) => return Some(SessionEnd::Done(result)),
                Err(error) => {
                    return Some(SessionEnd::Stop(format!("the script's process sent nonsense: {error}")));
                }
            }
        }
    }

    /// Sends an answer to a request that is not carried out.
    fn refuse(&self, id: u64, answer: HostResponse) {
        let memory = self.services.memory.of_answer();
        self.outgoing.push_answer(id, answer, &self.services.clock, memory);
    }

    fn answer(&mut self, id: u64, request: HostRequest, size: usize) {
        let (services, outgoing) = (Rc::clone(&self.services), Rc::clone(&self.outgoing));
        let under_way = request.reaches_out().then(|| CallCountGuard::new(&self.under_way));
        let clock = self.services.clock.clone();
        let takes_time = request.takes_time();
        let asked = services.memory.of_request(reserve::of_request(&request, size));
        let needed = reserve::of_answer(&request);
        let mut memory = services.memory.of_answer();
        let granted = memory.try_grow(needed);
        let mut hold = (granted && !takes_time).then(|| clock.hold());
        // Boxed, because a task's future is moved several times before it runs.
        let answering = Box::pin(async move {
            let waited = if granted { Ok(()) } else { wait_for_memory(&services, &mut memory, needed).await };
            if !granted && !takes_time {
                hold = Some(clock.hold());
            }
            let answered = match waited {
                Ok(()) => answers::answer(&services, request, &mut memory).await,
                Err(failure) => Err(failure),
            };
            let answer = answered.unwrap_or_else(|failure| HostResponse::Failed(Box::new(failure)));
            drop((asked, under_way));
            outgoing.push_answer(id, answer, &clock, memory);
            drop(hold);
        });
        self.answering.spawn_local(answering.in_current_span());
    }
}

/// Waits until a call may hold `bytes`, or the run is stopped.
async fn wait_for_memory(
    services: &RunServices,
    memory: &mut MemoryReservation,
    bytes: u64,
) -> Result<(), RequestFailure> {
    let reserved = async {
        memory.grow(bytes).await;
        Ok(())
    };
    services.stop.unless_stopped("the call was given up before it began: the run ends", reserved).await
}

/// Counts a call to outside until it is dropped.
struct CallCountGuard(Rc<Cell<usize>>);

impl CallCountGuard {
    fn new(count: &Rc<Cell<usize>>) -> Self {
        count.set(count.get() + 1);
        Self(Rc::clone(count))
    }
}

impl Drop for CallCountGuard {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
