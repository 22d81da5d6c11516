//! Mooncast: an embedded scripting host for group messaging.
//!
//! The modules, top to bottom. A module imports only from those below it; `tests/house.rs` checks this.
//!
//! - [`cli`]: one file per command.
//! - [`daemon`]: `serve`: the registry of scripts, the watcher, the jobs' runs.
//! - [`web`]: the listener beside it: the page, the API and the hooks.
//! - [`lint`]: static checks of a script.
//! - [`run`]: one run of a script: starts its worker, serves its calls, checks permissions.
//! - [`delivery`]: the only path of a message: check, permit, request, outcome.
//! - [`schedule`]: when jobs run.
//! - [`quota`]: pacing; [`client`]: the REST API; [`ledger`]: the durable store, with all SQL.
//! - [`zones`]: time zones and times of the day in text form.
//! - [`message`]: message types and limit checks; [`config`]: the settings.
//! - [`protocol`]: the frames between host and worker; [`clock`]: the only source of time.
//!
//! Beside them: [`worker`], the Lua side, which runs in its own process and imports only `protocol`, `message` and
//! `zones`; and [`simulator`], the fake service, which imports none of the other modules.

pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod delivery;
pub mod input;
pub mod ledger;
pub mod lint;
pub mod message;
pub mod protocol;
pub mod quota;
pub mod run;
pub mod schedule;
pub mod simulator;
pub mod web;
pub mod worker;
pub mod zones;
