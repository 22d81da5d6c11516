//! `require`: finds modules that the host provides, then those of the project and the embedded library. Each runs
//! once.

use mlua::{Table, Value};

use crate::protocol::HostRequest;

use super::context::ScriptContext;
use super::fault::NativeError;
use super::modules::ModuleKit;
use super::report::STDLIB;

/// The implementation in Lua, so that a module may wait while it loads.
const REQUIRE: &str = r#"
local loaded, fetch, own_globals, library, throw, wait_in, release = ...
local error, load, running, setmetatable, sub, type =
  error, load, coroutine.running, setmetatable, string.sub, type
-- What is being loaded: by whom, who else waits for it, and what asked for it.
local loading = {}
-- The innermost load of each coroutine, for the way to a module that requires itself.
local innermost = setmetatable({}, { __mode = "k" })

local function run(name)
  local file, text = fetch(name)
  local chunk, problem
  if sub(file, 1, #library) == library then
    chunk, problem = load(text, "@" .. file, "t", own_globals)
  else
    chunk, problem = load(text, "@" .. file, "t")
  end
  if not chunk then
    error(problem, 0)
  end
  local module = chunk(name, file)
  if module == nil then
    module = true
  end
  loaded[name] = module
  return module
end

local end_of_load = {
  __close = function(load)
    loading[load.name] = nil
    innermost[load.by] = load.outer
    release(load.waiters)
  end,
}

local function way_to(load, name)
  local way = name
  while load do
    way = load.name .. " > " .. way
    load = load.outer
  end
  return way
end

return function(name)
  if type(name) ~= "string" then
    error("bad argument #1 to 'require' (string expected, got " .. type(name) .. ")", 2)
  end
  local by = running()
  -- Another task may be loading it: it is run once for both.
  while loaded[name] == nil and loading[name] do
    if loading[name].by == by then
      throw("module '" .. name .. "' requires itself (" .. way_to(innermost[by], name) .. ")")
    end
    wait_in(loading[name].waiters)
  end
  if loaded[name] ~= nil then
    return loaded[name]
  end
  local load <close> = setmetatable({ name = name, by = by, outer = innermost[by], waiters = {} }, end_of_load)
  loading[name], innermost[by] = load, load
  return (run(name))
end
"#;

/// Sets the global `require`. `loaded` holds the modules that need no file.
pub(super) fn install(kit: &ModuleKit, loaded: Table) -> mlua::Result<()> {
    let (globals, own) = (kit.lua().globals(), kit.own_globals());
    let help = |name: &str| kit.prelude().raw_get::<Value>(name);
    let (throw, wait_in, release) = (help("throw")?, help("wait_in")?, help("release")?);
    let arguments = (loaded, kit.waiting(fetch)?, own, STDLIB, throw, wait_in, release);
    let require: mlua::Function = kit.lua_part(REQUIRE, arguments)?;
    own.raw_set("im", globals.raw_get::<Value>("im")?)?;
    own.raw_set("require", &require)?;
    globals.raw_set("require", require)
}

#[expect(clippy::unnecessary_wraps, reason = "the form that `Kit` takes")]
fn fetch(_: &mlua::Lua, _: &ScriptContext, name: String) -> Result<HostRequest, NativeError> {
    Ok(HostRequest::Require(name))
}
