//! `require`: modules of the host's giving, then the project's and the embedded library's, each run once.

use mlua::{Table, Value};

use crate::protocol::Request;

use super::context::Context;
use super::fault::Fault;
use super::modules::Kit;

/// `require` in Lua, so that a module may wait while it loads.
const REQUIRE: &str = r#"
local loaded, fetch, load, error, type, concat = ...
local loading = {}
return function(name)
  if type(name) ~= "string" then
    error("bad argument #1 to 'require' (string expected, got " .. type(name) .. ")", 2)
  end
  local module = loaded[name]
  if module ~= nil then
    return module
  end
  if loading[name] then
    error("module '" .. name .. "' requires itself (" .. concat(loading, " > ") .. " > " .. name .. ")", 2)
  end
  local file, text = fetch(name)
  local chunk, problem = load(text, "@" .. file, "t")
  if not chunk then
    error(problem, 0)
  end
  loading[name] = true
  loading[#loading + 1] = name
  module = chunk(name, file)
  loading[#loading] = nil
  loading[name] = nil
  if module == nil then
    module = true
  end
  loaded[name] = module
  return module
end
"#;

/// Puts `require` into the globals; `loaded` holds what needs no file.
pub(super) fn install(kit: &Kit, loaded: Table) -> mlua::Result<()> {
    let lua = kit.lua();
    let globals = lua.globals();
    let fetch = kit.waiting(fetch)?;
    let take = |name: &str| globals.raw_get::<Value>(name);
    let concat: Value = globals.raw_get::<Table>("table")?.raw_get("concat")?;
    let arguments = (loaded, fetch, take("load")?, take("error")?, take("type")?, concat);
    let require: mlua::Function = lua.load(REQUIRE).set_name(super::state::PRELUDE_NAME).call(arguments)?;
    globals.raw_set("require", require)
}

#[expect(clippy::unnecessary_wraps, reason = "the form that `Kit` takes")]
fn fetch(_: &mlua::Lua, _: &Context, name: String) -> Result<Request, Fault> {
    Ok(Request::Require(name))
}
