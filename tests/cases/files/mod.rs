//! The files that a script can read and write.
//!
//! Store: file

mod names;
mod races;
mod saying;
mod serving;
mod writing;

use crate::support::{Project, Ran};

/// Lua that makes a call and prints the result: `ok`, or the error's kind.
const TRY: &str = r#"
local fs = require("fs")
local function try(what, call, ...)
  local ok, err = pcall(call, ...)
  print(what, ok and "ok" or type(err) == "table" and err.kind or tostring(err))
end
local function overwrite(path)
  try("write " .. path, fs.write, path, "OVERWRITTEN")
  try("append " .. path, fs.append, path, "OVERWRITTEN")
end
"#;

/// Runs a script with [`TRY`] before it on the simulator.
fn run(project: &Project, body: &str, flags: &[&str]) -> Ran {
    project.write("scripts/main.lua", format!("{TRY}\n{body}"));
    project.mooncast(&[&["run", "--simulator"], flags, &["scripts/main.lua"]].concat())
}

/// Checks what [`TRY`] printed for a call.
#[track_caller]
fn came(ran: &Ran, what: &str) -> String {
    let line = ran.stdout.lines().find_map(|line| line.strip_prefix(&format!("{what}\t")));
    line.unwrap_or_else(|| panic!("{what} is not in {ran:#?}")).to_owned()
}

fn text(project: &Project, path: &str) -> String {
    std::fs::read_to_string(project.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}
