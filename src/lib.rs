//! Mooncast: an embedded scripting host for group messaging.
//!
//! The house, top to bottom; a module imports only from those below it, and `tests/house.rs` holds this:
//!
//! - [`cli`]: one file a command.
//! - [`daemon`]: `serve`: the registry of scripts, the watcher, the jobs' runs.
//! - [`web`]: beside it, the listener for hooks.
//! - [`host`]: starts workers, answers what their scripts ask for, holds permissions.
//! - [`delivery`]: the one road of a message: check, permit, request, outcome.
//! - [`schedule`]: when jobs run.
//! - [`quota`]: pacing; [`client`]: the REST API; [`ledger`]: the durable store, with all SQL.
//! - [`zones`]: time zones and times of the day as people write them.
//! - [`message`]: message types and limit checks; [`config`]: the settings.
//! - [`protocol`]: the frames between host and worker; [`clock`]: the only source of time.
//!
//! To the side: [`worker`], the Lua side, which runs in a process of its own and knows `protocol`, `message`
//! and `zones` alone; and [`simulator`], the fake service, which imports nothing of the house.

pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod delivery;
pub mod host;
pub mod input;
pub mod ledger;
pub mod message;
pub mod protocol;
pub mod quota;
pub mod schedule;
pub mod simulator;
pub mod web;
pub mod worker;
pub mod zones;
