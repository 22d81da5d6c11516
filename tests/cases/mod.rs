//! Inputs that once went wrong, each with the right result. Each test represents a kind of input. The tests work from
//! outside: the binary, Lua, HTTP.

mod audience;
mod backup;
mod changes;
mod daemon_changes;
mod ended;
mod files;
mod isolation;
mod media;
mod network;
mod operators;
mod replans;
mod schedules;
mod tokens;
mod values;
