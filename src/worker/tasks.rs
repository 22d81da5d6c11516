//! The scheduler: it decides which task runs next, and what the others wait for.

use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;

use mlua::thread::ThreadStatus;
use mlua::{Lua, MultiValue, Thread, Value};

use crate::protocol::{FailureKind, RequestFailure, ToHost, ToWorker};

use super::context::ScriptContext;
use super::convert::answer_values;
use super::fault::{NativeError, plain};
use super::pipe::PipeError;

/// Tasks that are ready, and tasks that wait for an event.
#[derive(Debug, Default)]
pub(super) struct TaskScheduler {
    ready: VecDeque<(Thread, MultiValue)>,
    waiting: HashMap<u64, Thread>,
    /// The results of events that no task has waited for yet.
    arrived: HashMap<u64, MultiValue>,
    /// Events that no task will wait for any more.
    abandoned: HashSet<u64>,
    /// The number of tasks that have not ended.
    alive: u32,
    /// The number of nested waits in places where Lua cannot yield.
    nested: u32,
}

impl TaskScheduler {
    pub(super) fn deliver(&mut self, event: u64, values: MultiValue) {
        if let Some(thread) = self.waiting.remove(&event) {
            self.ready.push_back((thread, values));
        } else if !self.abandoned.remove(&event) {
            self.arrived.insert(event, values);
        }
    }

    fn wait(&mut self, thread: Thread, event: u64) {
        match self.arrived.remove(&event) {
            Some(values) => self.ready.push_back((thread, values)),
            None => {
                self.waiting.insert(event, thread);
            }
        }
    }

    /// Ends the wait of a task with these values. Returns false if the task does not wait.
    pub(super) fn interrupt(&mut self, thread: &Thread, values: MultiValue) -> bool {
        let Some(event) =
            self.waiting.iter().find_map(|(event, waiting)| (waiting == thread).then_some(*event))
        else {
            return false;
        };
        self.waiting.remove(&event);
        self.abandoned.insert(event);
        self.ready.push_back((thread.clone(), values));
        true
    }
}

/// The most nested waits, in places where Lua cannot yield, up to which further tasks are resumed.
const MAX_NESTED: u32 = 30;

/// Why the scheduler cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum TaskSchedulerError {
    #[error(transparent)]
    Pipe(#[from] PipeError),
    #[error("the host process has ended")]
    HostGone,
    #[error("every task waits for another task, so none can continue")]
    Deadlock,
    #[error("{}", plain(.0))]
    Lua(#[from] mlua::Error),
    #[error("the host answered a request that this worker did not send")]
    Unasked,
}

/// Adds a task that runs `thread` with `arguments`.
pub(super) fn start(
    context: &ScriptContext,
    thread: Thread,
    arguments: MultiValue,
) -> Result<(), NativeError> {
    let mut tasks = context.tasks.borrow_mut();
    if tasks.alive >= context.limits.tasks {
        return Err(RequestFailure::new(
            FailureKind::Invalid,
            format!(
                "{} tasks are alive, which is the limit; wait for some before starting more",
                tasks.alive
            ),
        )
        .into());
    }
    tasks.alive += 1;
    tasks.ready.push_back((thread, arguments));
    Ok(())
}

/// Runs tasks until `event` has happened, and returns its values. This is the wait for places where Lua cannot yield.
///
/// Each such wait is on the C stack above the one before it. Beyond [`MAX_NESTED`] of them no more tasks are resumed,
/// so that Lua's own limit (200) is never reached: only answers of the host are awaited.
pub(super) fn run_until(
    lua: &Lua,
    context: &Rc<ScriptContext>,
    event: u64,
) -> Result<MultiValue, TaskSchedulerError> {
    context.tasks.borrow_mut().nested += 1;
    let result = loop {
        let (arrived, deep) = {
            let mut tasks = context.tasks.borrow_mut();
            (tasks.arrived.remove(&event), tasks.nested > MAX_NESTED)
        };
        if let Some(values) = arrived {
            break Ok(values);
        }
        let stepped = if deep { receive_answers(lua, context) } else { step(lua, context) };
        if let Err(stuck) = stepped {
            break Err(stuck);
        }
    };
    context.tasks.borrow_mut().nested -= 1;
    result
}

/// Runs tasks until none is alive.
pub(super) fn run_all(lua: &Lua, context: &Rc<ScriptContext>) -> Result<(), TaskSchedulerError> {
    while context.tasks.borrow().alive > 0 {
        step(lua, context)?;
    }
    Ok(())
}

/// Runs one task until it waits or ends. If no task is ready, waits for the host.
pub(super) fn step(lua: &Lua, context: &Rc<ScriptContext>) -> Result<(), TaskSchedulerError> {
    let next = context.tasks.borrow_mut().ready.pop_front();
    match next {
        Some((thread, values)) => resume(context, thread, values),
        None => receive_answers(lua, context),
    }
}

fn resume(context: &ScriptContext, thread: Thread, values: MultiValue) -> Result<(), TaskSchedulerError> {
    let yielded = thread.resume::<(Value, Option<u64>)>(values);
    match (thread.status(), yielded) {
        // A task always yields (WAIT, event): the prelude's `yield` allows nothing else.
        (ThreadStatus::Resumable, Ok((_, Some(event)))) => {
            context.tasks.borrow_mut().wait(thread, event);
            Ok(())
        }
        (_, Ok(_)) => {
            context.tasks.borrow_mut().alive -= 1;
            Ok(())
        }
        // The prelude catches the task's own errors. This is an error of the runtime around it (no memory, no stack).
        (_, Err(error)) => Err(mlua::Error::runtime(plain(&error)).into()),
    }
}

/// Receives all available frames of the host, and at least one.
fn receive_answers(lua: &Lua, context: &ScriptContext) -> Result<(), TaskSchedulerError> {
    if !context.awaits_host() {
        return Err(TaskSchedulerError::Deadlock);
    }
    let frame = {
        let mut pipe = context.pipe.borrow_mut();
        pipe.send(&ToHost::Waiting(context.answered.get()));
        pipe.receive()?.ok_or(TaskSchedulerError::HostGone)?
    };
    take_in(lua, context, frame)?;
    loop {
        let next = context.pipe.borrow_mut().received()?;
        let Some(frame) = next else { return Ok(()) };
        take_in(lua, context, frame)?;
    }
}

fn take_in(lua: &Lua, context: &ScriptContext, frame: ToWorker) -> Result<(), TaskSchedulerError> {
    let ToWorker::Answer(event, answer) = frame else { return Err(TaskSchedulerError::Unasked) };
    if !context.note_answer(event) {
        return Err(TaskSchedulerError::Unasked);
    }
    context.deliver(event, answer_values(lua, answer)?);
    Ok(())
}

/// Ends the wait of a task with `cancelled`. Returns false if the task does not wait.
pub(super) fn cancel(lua: &Lua, context: &ScriptContext, thread: &Thread) -> mlua::Result<bool> {
    let fault = NativeError::from(RequestFailure::new(FailureKind::Cancelled, "the task was cancelled"));
    let values = fault.into_values(lua)?;
    Ok(context.tasks.borrow_mut().interrupt(thread, values))
}
