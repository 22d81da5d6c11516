//! Runs typed lines one after the other in the same state, for `mooncast repl`.

use mlua::Function;

use crate::protocol::{ConsoleStep, HostRequest};

use super::ModuleKit;

/// The part in Lua, which reads, runs and shows lines.
const LUA_PART: &str = include_str!("console.lua");

/// Returns a function that runs lines until there are no more. Its arguments are the modules that lines may name
/// without `require`.
pub(in crate::worker) fn build(kit: &ModuleKit) -> mlua::Result<Function> {
    let next = kit.waiting(|_, _, (incomplete, problem): (bool, Option<mlua::LuaString>)| {
        let problem = problem.map(|text| super::super::report::clean(&text.to_string_lossy()));
        Ok(HostRequest::Console(ConsoleStep::Next { incomplete, problem }))
    })?;
    let interrupted = kit.waiting(|_, _, ()| Ok(HostRequest::Console(ConsoleStep::Interrupted)))?;
    let prelude = kit.prelude();
    let tasks: mlua::Table = prelude.raw_get("task")?;
    let parts = (
        next,
        interrupted,
        tasks.raw_get::<Function>("spawn")?,
        prelude.raw_get::<Function>("show")?,
        kit.lua().globals(),
    );
    kit.lua_part(LUA_PART, parts)
}
