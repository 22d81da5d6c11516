//! Values in messages and scripts: ids, numbers, templates, empty texts, Lua's own functions, the REPL.

mod ids;
