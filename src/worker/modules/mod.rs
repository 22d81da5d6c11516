//! The Rust modules that scripts can `require`: one file per module, each with one function that builds its table.
#![allow(clippy::needless_pass_by_value, reason = "arguments that come out of Lua are owned by the call")]
#![allow(clippy::unnecessary_wraps, reason = "every function of a module has the form that `Kit` takes")]

mod arguments;
mod broadcast;
pub(super) mod console;
mod csv;
mod datetime;
mod env;
mod fs;
mod hash;
mod hook;
mod http;
mod im;
mod json;
mod log;
mod os;
mod schedule;
mod secret;
mod store;
mod task;
mod template;
mod testing;

use std::rc::Rc;

use mlua::{FromLuaMulti, Function, IntoLuaMulti, Lua, MultiValue, Table, Value};

use crate::protocol::HostRequest;

use super::context::ScriptContext;
use super::fault::{NativeError, settled};

type ModuleBuilder = fn(&ModuleKit) -> mlua::Result<Table>;

/// All modules. `im` and `schedule` are globals; the others need `require`.
const MODULES: &[(&str, ModuleBuilder)] = &[
    ("csv", csv::build),
    ("datetime", datetime::build),
    ("env", env::build),
    ("fs", fs::build),
    ("hash", hash::build),
    ("http", http::build),
    ("json", json::build),
    ("log", log::build),
    ("os", os::build),
    ("store", store::build),
    ("task", task::build),
    ("template", template::build),
];

/// Builds all modules. Returns the table of the modules that `require` finds without a file.
pub(super) fn install(kit: &ModuleKit, jobs: &Table) -> mlua::Result<Table> {
    let loaded = kit.lua.create_table()?;
    for (name, build) in MODULES {
        loaded.raw_set(*name, build(kit)?)?;
    }
    loaded.raw_get::<Table>("http")?.raw_set("hook", hook::build(kit, jobs)?)?;
    let im = im::build(kit)?;
    kit.lua.globals().raw_set("im", &im)?;
    loaded.raw_set("im", im)?;
    let schedule = schedule::build(kit, jobs)?;
    kit.lua.globals().raw_set("schedule", &schedule)?;
    loaded.raw_set("schedule", schedule)?;
    loaded.raw_set(testing::NAME, testing::build(kit, jobs)?)?;
    for name in ["coroutine", "table", "string", "utf8", "math"] {
        loaded.raw_set(name, kit.lua.globals().raw_get::<Value>(name)?)?;
    }
    Ok(loaded)
}

/// What modules are built with: native functions that raise error values, and native functions that wait.
pub(super) struct ModuleKit {
    lua: Lua,
    context: Rc<ScriptContext>,
    prelude: Table,
    own: Table,
    lift: Function,
    wait: Function,
}

impl ModuleKit {
    pub(super) fn new(lua: &Lua, context: &Rc<ScriptContext>, prelude: &Table) -> mlua::Result<Self> {
        let own = lua.create_table()?;
        for pair in lua.globals().pairs::<Value, Value>() {
            let (name, value) = pair?;
            own.raw_set(name, value)?;
        }
        Ok(Self {
            own,
            lua: lua.clone(),
            context: Rc::clone(context),
            prelude: prelude.clone(),
            lift: prelude.get("lift")?,
            wait: prelude.get("waiting")?,
        })
    }

    pub(super) const fn lua(&self) -> &Lua {
        &self.lua
    }

    pub(super) fn context(&self) -> &ScriptContext {
        &self.context
    }

    pub(super) const fn prelude(&self) -> &Table {
        &self.prelude
    }

    /// Returns the globals of our own Lua code. They are separate, so that a script that sets `type = "txt"` does not
    /// break it.
    pub(super) const fn own_globals(&self) -> &Table {
        &self.own
    }

    /// Creates a function that returns at once.
    pub(super) fn plain<A, R>(
        &self,
        call: impl Fn(&Lua, &ScriptContext, A) -> Result<R, NativeError> + 'static,
    ) -> mlua::Result<Function>
    where
        A: FromLuaMulti,
        R: IntoLuaMulti,
    {
        let context = Rc::clone(&self.context);
        let native = self.lua.create_function(move |lua, arguments: MultiValue| {
            let result = A::from_lua_args(arguments, 1, None, lua)
                .map_err(NativeError::from)
                .and_then(|arguments| call(lua, &context, arguments))
                .and_then(|result| Ok(result.into_lua_multi(lua)?));
            settled(lua, result)
        })?;
        self.lift.call(native)
    }

    /// Creates a function that sends a request to the host and waits for its answer.
    pub(super) fn waiting<A: FromLuaMulti>(
        &self,
        call: impl Fn(&Lua, &ScriptContext, A) -> Result<HostRequest, NativeError> + 'static,
    ) -> mlua::Result<Function> {
        let context = Rc::clone(&self.context);
        let native = self.lua.create_function(move |lua, arguments: MultiValue| {
            let result = A::from_lua_args(arguments, 1, None, lua)
                .map_err(NativeError::from)
                .and_then(|arguments| call(lua, &context, arguments))
                .and_then(|request| context.request(request))
                .and_then(|event| Ok(event.into_lua_multi(lua)?));
            settled(lua, result)
        })?;
        self.wait.call(native)
    }

    /// Runs Lua code of our own with these arguments. Tracebacks do not show it.
    pub(super) fn lua_part<R: mlua::FromLuaMulti>(
        &self,
        text: &str,
        arguments: impl IntoLuaMulti,
    ) -> mlua::Result<R> {
        let chunk = self.lua.load(text).set_name(super::report::PRELUDE_NAME);
        chunk.set_environment(self.own.clone()).call(arguments)
    }
}
