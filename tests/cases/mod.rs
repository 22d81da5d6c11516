//! Inputs that went wrong once, each with the right result. A test stands for a kind of input. They work from outside: the binary, Lua, HTTP.

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
