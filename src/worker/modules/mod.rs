//! The Rust modules that scripts can `require`: one file per module, each with one function that builds its table.
#![allow(clippy::needless_pass_by_value, reason = "arguments that come out of Lua are owned by the call")]
#![allow(clippy::unnecessary_wraps, reason = "every function of a module has the form that `Kit` takes")]

mod arguments;
mod broadcast;
pub(super) mod console;
mod csv;
mod datetime;
mod edit;
mod env;
mod fs;
mod hash;
mod hook;
mod host;
mod http;
mod im;
mod json;
mod log;
mod on;
mod options;
mod os;
#[cfg(test)]
pub mod readers;
mod rest;
mod schedule;
mod secret;
mod store;
mod suppress;
mod task;
mod template;
mod template_depth;
mod testing;

use std::rc::Rc;

use mlua::{FromLuaMulti, Function, IntoLuaMulti, Lua, MultiValue, Table, Value};

use crate::protocol::HostRequest;

use super::context::ScriptContext;
use super::fault::{NativeError, settled};

type ModuleBuilder = fn(&ModuleKit) -> mlua::Result<Table>;

/// The modules in Rust. Each has a stub, `stdlib/meta/NAME.lua`: the linter, the completions of the console and the
/// reference of the book find it there.
const MODULES: &[(&str, ModuleBuilder)] = &[
    ("csv", csv::build),
    ("datetime", datetime::build),
    ("env", env::build),
    ("fs", fs::build),
    ("hash", hash::build),
    ("host", host::build),
    ("http", http::build),
    ("im", im::build),
    ("json", json::build),
    ("log", log::build),
    ("os", os::build),
    ("schedule", schedule::build),
    ("store", store::build),
    ("task", task::build),
    ("template", template::build),
];

/// The modules that are globals too.
const GLOBALS: [&str; 2] = ["im", "schedule"];

/// Builds all modules. Returns the table of the modules that `require` finds without a file: these and those of Lua.
pub(super) fn install(kit: &ModuleKit) -> mlua::Result<Table> {
    let globals = kit.lua.globals();
    let loaded = kit.lua.create_table()?;
    for name in ["coroutine", "table", "string", "utf8", "math"] {
        loaded.raw_set(name, globals.raw_get::<Value>(name)?)?;
    }
    for (name, build) in MODULES {
        loaded.raw_set(*name, build(kit)?)?;
    }
    for name in GLOBALS {
        globals.raw_set(name, loaded.raw_get::<Value>(name)?)?;
    }
    loaded.raw_set(testing::NAME, testing::build(kit)?)?;
    Ok(loaded)
}

/// What modules are built with: native functions that raise error values, and native functions that wait.
pub(super) struct ModuleKit {
    lua: Lua,
    context: Rc<ScriptContext>,
    prelude: Table,
    jobs: Table,
    own: Table,
    lift: Function,
    wait: Function,
}

impl ModuleKit {
    pub(super) fn new(lua: &Lua, context: &Rc<ScriptContext>, prelude: &Table) -> mlua::Result<Self> {
        let jobs = lua.create_table()?;
        let own = lua.create_table()?;
        for pair in lua.globals().pairs::<Value, Value>() {
            let (name, value) = pair?;
            own.raw_set(name, value)?;
        }
        Ok(Self {
            jobs,
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

    /// Returns the table of the functions of jobs and tests, by name.
    pub(super) const fn jobs(&self) -> &Table {
        &self.jobs
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::MODULES;

    #[test]
    fn each_module_in_rust_has_a_stub_and_each_stub_a_module() {
        let stubs = Path::new(env!("CARGO_MANIFEST_DIR")).join("stdlib/meta");
        let mut declared = BTreeSet::new();
        for stub in std::fs::read_dir(stubs).unwrap() {
            let text = std::fs::read_to_string(stub.unwrap().path()).unwrap();
            // The stub without a name has the types that modules share.
            declared.extend(text.lines().next().unwrap().strip_prefix("---@meta ").map(str::to_owned));
        }
        assert_eq!(declared, MODULES.iter().map(|(name, _)| (*name).to_owned()).collect());
    }
}
