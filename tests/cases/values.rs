//! Values in messages and scripts: ids, numbers, templates, empty texts, Lua's own functions, the REPL.
//!
//! Store: file

mod console;
mod empty;
mod ids;
mod linter;
mod lua;
mod numbers;
mod templates;
