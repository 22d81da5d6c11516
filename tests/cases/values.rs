//! Values in messages and scripts: ids, numbers, templates, empty texts, Lua's own functions, the REPL.

mod console;
mod empty;
mod ids;
mod linter;
mod lua;
mod numbers;
mod templates;
