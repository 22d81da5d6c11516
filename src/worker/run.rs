//! Runs one script, from its first line to its last frame.

use std::rc::Rc;

use mlua::{Function, Lua, MultiValue, Table, Value};

use crate::input::decode_json;
use crate::protocol::{
    ArgumentValue, HookRequest, JobInput, JobStart, LoadMode, LuaSource, NamedArgument, ScriptError,
    StartFrame, ToHost,
};

use super::context::ScriptContext;
use super::convert::to_lua;
use super::fault::plain;
use super::modules;
use super::pipe::HostPipe;
use super::report;
use super::state::{self, LuaState};
use super::tasks::{self, TaskSchedulerError};

/// Runs the script as `start` specifies, and reports to the host how it ended.
pub(super) fn run(start: &StartFrame, pipe: HostPipe) -> Result<(), TaskSchedulerError> {
    let context = Rc::new(ScriptContext::new(start, pipe));
    let outcome = match state::make(Rc::clone(&context), start.seed) {
        Ok(state) => execute(&state, start),
        Err(error) => Err(ExecutionError::Failed(runtime_error(&error))),
    };
    let result = match outcome {
        Ok(()) => Ok(()),
        Err(ExecutionError::Failed(error)) => Err(error),
        // The host has ended, so the result cannot be reported.
        Err(ExecutionError::Stuck(TaskSchedulerError::HostGone)) => return Ok(()),
        Err(ExecutionError::Stuck(TaskSchedulerError::Pipe(error))) => return Err(error.into()),
        Err(ExecutionError::Stuck(stuck)) => {
            Err(ScriptError { message: report::clean(&stuck.to_string()), ..ScriptError::default() })
        }
    };
    let mut pipe = context.pipe.borrow_mut();
    pipe.send(&ToHost::Done(result));
    pipe.flush();
    Ok(())
}

enum ExecutionError {
    Failed(ScriptError),
    Stuck(TaskSchedulerError),
}

impl From<mlua::Error> for ExecutionError {
    fn from(error: mlua::Error) -> Self {
        Self::Failed(runtime_error(&error))
    }
}

impl From<TaskSchedulerError> for ExecutionError {
    fn from(stuck: TaskSchedulerError) -> Self {
        Self::Stuck(stuck)
    }
}

fn execute(state: &LuaState, start: &StartFrame) -> Result<(), ExecutionError> {
    let lua = &state.lua;
    let arguments = arguments(lua, start)?;
    lua.globals().raw_set("arg", &arguments)?;

    let strings =
        start.args.iter().map(|text| lua.create_string(text).map(Value::String)).collect::<Result<_, _>>()?;
    match start.mode {
        LoadMode::Console => {
            in_task(state, modules::console::build(&state.kit)?, strings)?;
            // The user ended the console, so tasks that its lines started are not waited for.
            return Ok(());
        }
        LoadMode::Eval => {
            let handle = in_task(state, evaluated(lua, &start.script)?, strings)?;
            print_results(state, &handle)?;
        }
        _ => {
            in_task(state, compiled(lua, &start.script.text, &start.script.name)?, strings)?;
        }
    }
    if start.mode == LoadMode::Run
        && let Value::Function(main) = lua.globals().raw_get("main")?
    {
        in_task(state, main, MultiValue::from_vec(vec![Value::Table(arguments)]))?;
    }
    tasks::run_all(lua, &state.context)?;
    if start.mode.only_declares() {
        state.context.pipe.borrow_mut().send(&ToHost::Declared);
    }
    if let Some(job) = &start.job {
        run_job(state, job)?;
    }
    match state.unseen.raw_get::<Option<Table>>(1)? {
        Some(handle) => Err(ExecutionError::Failed(failure_of(state, &handle)?)),
        None => Ok(()),
    }
}

/// Creates the table for `main(args)` and `arg`: the texts by place, the typed values by name.
fn arguments(lua: &Lua, start: &StartFrame) -> mlua::Result<Table> {
    let table = lua.create_sequence_from(start.args.iter().map(String::as_str))?;
    for NamedArgument { name, value } in &start.named {
        let name = name.as_str();
        match value {
            ArgumentValue::Text(text) => table.raw_set(name, text.as_str())?,
            ArgumentValue::Integer(number) => table.raw_set(name, *number)?,
            ArgumentValue::Number(number) => table.raw_set(name, *number)?,
            ArgumentValue::Boolean(flag) => table.raw_set(name, *flag)?,
        }
    }
    Ok(table)
}

fn compiled(lua: &Lua, text: &[u8], name: &str) -> mlua::Result<Function> {
    let chunk = lua.load(text).set_name(format!("@{name}"));
    chunk.set_mode(mlua::chunk::ChunkMode::Text).into_function()
}

/// Compiles the source as an expression, or as statements.
fn evaluated(lua: &Lua, source: &LuaSource) -> mlua::Result<Function> {
    let expression = [b"return ", source.text.as_ref()].concat();
    compiled(lua, &expression, &source.name).or_else(|_| compiled(lua, &source.text, &source.name))
}

/// Prints the results of a task, in Lua syntax.
fn print_results(state: &LuaState, handle: &Table) -> mlua::Result<()> {
    let results: Table = handle.raw_get("results")?;
    let count: i64 = results.raw_get("n")?;
    let mut shown = Vec::new();
    for index in 1..=count {
        let text: mlua::LuaString = state.show.call(results.raw_get::<Value>(index)?)?;
        shown.push(text.as_bytes().to_vec());
    }
    if count > 0 {
        let line = [shown.join(&b'\t'), b"\n".to_vec()].concat();
        state.context.pipe.borrow_mut().send(&ToHost::Print(line.into()));
    }
    Ok(())
}

/// Calls the function of a job.
fn run_job(state: &LuaState, job: &JobStart) -> Result<(), ExecutionError> {
    let Some(body) = state.jobs.raw_get::<Option<Function>>(job.name.as_str())? else {
        let message = format!("the script declares no job named `{}`", report::clean(&job.name));
        return Err(ExecutionError::Failed(ScriptError { message, ..ScriptError::default() }));
    };
    let context = state.lua.create_table()?;
    context.raw_set("name", job.name.as_str())?;
    context.raw_set("scheduled_at", job.scheduled_at_ms as f64 / 1000.0)?;
    context.raw_set("run", job.run.as_str())?;
    context.raw_set("attempt", job.attempt)?;
    let mut arguments = vec![Value::Table(context)];
    match &job.input {
        Some(JobInput::Request(request)) => {
            arguments.push(Value::Table(request_table(&state.lua, request)?));
        }
        Some(JobInput::Event { json, .. }) => {
            let event = decode_json(json).map_err(mlua::Error::external)?;
            arguments.push(to_lua(&state.lua, &event)?);
        }
        None => {}
    }
    in_task(state, body, MultiValue::from_vec(arguments))?;
    Ok(tasks::run_all(&state.lua, &state.context)?)
}

/// Creates the table of the request that runs a hook, as `http.hook` expects it.
fn request_table(lua: &Lua, request: &HookRequest) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    table.raw_set("method", request.method.as_str())?;
    let by_name = |pairs: &[(String, String)]| {
        lua.create_table_from(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    };
    table.raw_set("query", by_name(&request.query)?)?;
    table.raw_set("headers", by_name(&request.headers)?)?;
    table.raw_set("body", lua.create_string(&request.body)?)?;
    Ok(table)
}

/// Runs a function as a task, until it ends.
fn in_task(state: &LuaState, body: Function, arguments: MultiValue) -> Result<Table, ExecutionError> {
    let mut all = arguments;
    all.push_front(Value::Function(body));
    let handle: Table = state.start_main.call(all)?;
    while !handle.raw_get::<bool>("done")? {
        tasks::step(&state.lua, &state.context)?;
    }
    if handle.raw_get::<bool>("failed")? {
        return Err(ExecutionError::Failed(failure_of(state, &handle)?));
    }
    Ok(handle)
}

fn failure_of(state: &LuaState, handle: &Table) -> mlua::Result<ScriptError> {
    let results: Table = handle.raw_get("results")?;
    Ok(report::script_error(&state.lua, results.raw_get(1)?, state.context.limits.memory))
}

/// Converts an error without a stack of the script: a syntax error, or an error of the runtime.
fn runtime_error(error: &mlua::Error) -> ScriptError {
    ScriptError { message: report::clean(&plain(error)), ..ScriptError::default() }
}
