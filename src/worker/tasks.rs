//! The scheduler: which task runs next, and what each of the others waits for.

use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;

use mlua::thread::ThreadStatus;
use mlua::{Lua, MultiValue, Thread, Value};

use crate::protocol::{FailureKind, RequestFailure, ToHost, ToWorker};

use super::context::ScriptContext;
use super::convert::answer_values;
use super::fault::{NativeError, plain};
use super::pipe::PipeError;

/// Tasks that can go on, and tasks that wait for an event.
#[derive(Debug, Default)]
pub(super) struct TaskScheduler {
    ready: VecDeque<(Thread, MultiValue)>,
    waiting: HashMap<u64, Thread>,
    /// What has happened that nobody has come for yet.
    arrived: HashMap<u64, MultiValue>,
    /// What nobody will come for any more.
    abandoned: HashSet<u64>,
    /// Tasks that have not ended.
    alive: u32,
    /// Waits where Lua cannot yield, one inside the other.
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

    /// Ends the wait of a task with these values; false when it waits for nothing.
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

/// How many waits where Lua cannot yield may stand one inside the other before no more tasks are resumed.
const MAX_NESTED: u32 = 30;

/// Why the scheduler cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum TaskSchedulerError {
    #[error(transparent)]
    Pipe(#[from] PipeError),
    #[error("the host has gone")]
    HostGone,
    #[error("every task waits for another one; none can go on")]
    Deadlock,
    #[error("{}", plain(.0))]
    Lua(#[from] mlua::Error),
    #[error("the host answered what was not asked")]
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

/// Runs tasks until `event` has happened, and gives what came of it: for a wait where Lua cannot yield.
///
/// Each such wait stands on the C stack above the one before it. Past [`MAX_NESTED`] of them nothing new is resumed,
/// so that Lua's own limit (200) is never met: what was asked of the host is waited for, and nothing else.
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

/// Runs one task as far as it goes, or waits for the host.
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
        // What a task yields is always (WAIT, event): the prelude's `yield` lets nothing else through.
        (ThreadStatus::Resumable, Ok((_, Some(event)))) => {
            context.tasks.borrow_mut().wait(thread, event);
            Ok(())
        }
        (_, Ok(_)) => {
            context.tasks.borrow_mut().alive -= 1;
            Ok(())
        }
        // The task's own errors stay inside it; this is one of the machinery around it (no memory, no stack).
        (_, Err(error)) => Err(mlua::Error::runtime(plain(&error)).into()),
    }
}

/// Takes in what the host says: all that is there, and at least one frame.
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

/// Ends the wait of a task with `cancelled`; false when it waits for nothing.
pub(super) fn cancel(lua: &Lua, context: &ScriptContext, thread: &Thread) -> mlua::Result<bool> {
    let fault = NativeError::from(RequestFailure::new(FailureKind::Cancelled, "the task was cancelled"));
    let values = fault.into_values(lua)?;
    Ok(context.tasks.borrow_mut().interrupt(thread, values))
}
