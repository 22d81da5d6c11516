//! Creates a new Lua state that cannot reach anything outside: the sandbox.

use std::rc::Rc;

use mlua::{
    Error, Function, HookTriggers, Lua, LuaOptions, LuaString, MultiValue, StdLib, Table, Thread, Value,
    Variadic, VmState,
};

use crate::protocol::ToHost;

use super::context::ScriptContext;
use super::{convert, modules, report, require, tasks};

const PRELUDE: &str = include_str!("prelude.lua");

/// The part in Lua that shows values.
const SHOW: &str = include_str!("show.lua");

/// Instructions between two checks of the CPU time: about 50 microseconds.
const INSTRUCTIONS_PER_LOOK: u32 = 10_000;

/// The most bytes of a print in one frame.
const PRINT_PIECE: usize = 1024 * 1024;

/// The harmless functions of `os`.
const SAFE_OS: [&str; 2] = ["clock", "difftime"];

/// Globals that load files or compiled code, or that are of no use to a script.
const REMOVED: [&str; 4] = ["dofile", "loadfile", "collectgarbage", "warn"];

/// A sandboxed Lua state, and what the scheduler needs of it.
pub(super) struct LuaState {
    pub(super) lua: Lua,
    pub(super) context: Rc<ScriptContext>,
    /// Starts the task of a script's main chunk. Returns its handle.
    pub(super) start_main: Function,
    /// Handles of failed tasks that no other task has waited for.
    pub(super) unseen: Table,
    /// The functions of the declared jobs, by name.
    pub(super) jobs: Table,
    /// What modules are built with.
    pub(super) kit: modules::ModuleKit,
    /// Formats a value in Lua syntax.
    pub(super) show: Function,
}

/// Creates the state. The memory limit applies once the libraries are open, before any script code.
pub(super) fn make(context: Rc<ScriptContext>, seed: u64) -> mlua::Result<LuaState> {
    let libraries =
        StdLib::COROUTINE | StdLib::TABLE | StdLib::STRING | StdLib::UTF8 | StdLib::MATH | StdLib::OS;
    let lua = Lua::new_with(libraries, LuaOptions::default())?;
    lua.set_memory_limit(usize::try_from(context.limits.memory).unwrap_or(usize::MAX))?;
    // Nothing that is built here is garbage.
    lua.gc_stop();
    let watcher = Rc::clone(&context);
    watch(&lua, &watcher, INSTRUCTIONS_PER_LOOK)?;
    convert::make_marks(&lua)?;

    let prelude: Table = lua.load(PRELUDE).set_name(report::PRELUDE_NAME).call(natives(&lua, &context)?)?;
    close_sandbox(&lua, &prelude, seed)?;

    let kit = modules::ModuleKit::new(&lua, &context, &prelude)?;
    let preloaded = modules::install(&kit)?;
    require::install(&kit, preloaded)?;
    let (start_main, unseen, show) = (prelude.get("main")?, prelude.get("unseen")?, prelude.get("show")?);
    let jobs = kit.jobs().clone();
    lua.gc_restart();
    Ok(LuaState { lua, context, start_main, unseen, jobs, kit, show })
}

/// Checks at intervals of this many instructions whether the CPU limit is exceeded, or whether the line of a console
/// must end. From then on it checks at every instruction, so that a script that catches the error gets it again at
/// once.
fn watch(lua: &Lua, context: &Rc<ScriptContext>, instructions: u32) -> mlua::Result<()> {
    let watcher = Rc::clone(context);
    lua.set_global_hook(HookTriggers::new().every_nth_instruction(instructions), move |lua, debug| {
        watcher.flush_output();
        let (late, line_ends) = (watcher.out_of_time(), watcher.line_ends());
        let wanted = if late || line_ends { 1 } else { INSTRUCTIONS_PER_LOOK };
        if wanted != instructions {
            watch(lua, &watcher, wanted)?;
        }
        if late {
            return Err(over_time(lua, &watcher, debug));
        }
        // Our own Lua code goes on, because it reads the next line.
        match report::position(debug).filter(|_| line_ends) {
            Some(line) => Err(Error::runtime(format!("{line}: cancelled: Ctrl-C ended the line"))),
            None => Ok(VmState::Continue),
        }
    })
}

fn over_time(lua: &Lua, context: &ScriptContext, debug: &mlua::debug::Debug<'_>) -> Error {
    // Our own Lua code also exceeds the limit once the script has. The error must name the script's line.
    let mut position = context.over_time_at.borrow_mut();
    if let Some(line) = report::position(debug).or_else(|| report::whereabouts(lua)) {
        *position = format!("{line}: ");
    }
    Error::runtime(format!(
        "{position}the script computed for {} s without a call to the host, which is its limit (`[scripts] cpu`)",
        context.limits.cpu_ms as f64 / 1000.0
    ))
}

fn close_sandbox(lua: &Lua, prelude: &Table, seed: u64) -> mlua::Result<()> {
    let globals = lua.globals();
    for name in REMOVED {
        globals.raw_set(name, Value::Nil)?;
    }
    for pair in prelude.get::<Table>("globals")?.pairs::<String, Value>() {
        let (name, value) = pair?;
        globals.raw_set(name, value)?;
    }
    globals.raw_set("coroutine", prelude.get::<Table>("coroutine")?)?;

    let string: Table = globals.raw_get("string")?;
    string.raw_set("dump", Value::Nil)?;
    string.raw_set("rep", prelude.get::<Function>("string_rep")?)?;

    let full_os: Table = globals.raw_get("os")?;
    let os = lua.create_table()?;
    for name in SAFE_OS {
        os.raw_set(name, full_os.raw_get::<Value>(name)?)?;
    }
    globals.raw_set("os", os)?;

    let math: Table = globals.raw_get("math")?;
    let (high, low) = (seed.cast_signed(), seed.rotate_left(32).cast_signed());
    math.raw_get::<Function>("randomseed")?.call::<()>((high, low))
}

/// Creates the native functions that the prelude needs.
fn natives(lua: &Lua, context: &Rc<ScriptContext>) -> mlua::Result<Table> {
    let natives = lua.create_table()?;
    let add = |name: &str, function: mlua::Result<Function>| natives.raw_set(name, function?);

    add("whereabouts", lua.create_function(|lua, ()| Ok(report::whereabouts(lua))))?;
    add("describe", lua.create_function(|lua, error: Value| report::describe(lua, error)))?;
    add(
        "chunk_name",
        lua.create_function(|_, text: LuaString| Ok(report::chunk_name(&text.to_string_lossy()))),
    )?;

    let shared = Rc::clone(context);
    add(
        "print",
        lua.create_function(move |_, text: LuaString| {
            let mut line = text.as_bytes().to_vec();
            line.push(b'\n');
            // In pieces, because the size of a frame is limited and that of a print is not.
            for piece in line.chunks(PRINT_PIECE) {
                shared.pipe.borrow_mut().send(&ToHost::Print(piece.to_vec().into()));
            }
            shared.flush_output();
            Ok(())
        }),
    )?;

    let shared = Rc::clone(context);
    add(
        "noted",
        lua.create_function(move |_, (number, position): (u64, Option<String>)| {
            shared.pipe.borrow_mut().send(&ToHost::Noted(number, position.unwrap_or_default()));
            Ok(())
        }),
    )?;

    let shared = Rc::clone(context);
    add("event", lua.create_function(move |_, ()| Ok(shared.event())))?;

    let shared = Rc::clone(context);
    add(
        "complete",
        lua.create_function(move |_, event: u64| {
            shared.deliver(event, MultiValue::from_vec(vec![Value::Boolean(true)]));
            Ok(())
        }),
    )?;

    let shared = Rc::clone(context);
    add(
        "start",
        lua.create_function(move |lua, (thread, arguments): (Thread, Variadic<Value>)| {
            match tasks::start(&shared, thread, arguments.into_iter().collect()) {
                Ok(()) => Ok(MultiValue::from_vec(vec![Value::Boolean(true)])),
                Err(fault) => fault.into_values(lua),
            }
        }),
    )?;

    let shared = Rc::clone(context);
    add("cancel", lua.create_function(move |lua, thread: Thread| tasks::cancel(lua, &shared, &thread)))?;

    let shared = Rc::clone(context);
    add(
        "block",
        lua.create_function(move |lua, event: u64| {
            tasks::run_until(lua, &shared, event).map_err(|stuck| Error::runtime(stuck.to_string()))
        }),
    )?;

    natives.raw_set("show", lua.load(SHOW).set_name(report::PRELUDE_NAME).call::<Function>(Value::NULL)?)?;
    natives.raw_set("longest", context.limits.memory)?;
    Ok(natives)
}
