//! The integration test binary, with one file per feature. `tests/sim/` is another one.
//!
//! The tests of a file run on each store: with a ledger in a file, and with one on the server that `MOONCAST_TEST_STORE`
//! names. A line in a file's first comment says otherwise, and `tests/run` reads it:
//!
//! - `Store: file`: only without a server, because they have no ledger or break its file.
//! - `Store: server`: only with a server.
//! - `On a server: in the soak`: with a server only in `tests/soak`, because the server's part in them is tested elsewhere.
//! - `On a server: apart`: with a server beside the others, because many processes die and each death is waited for.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::disallowed_methods,
    reason = "tests have no readers of their docs, and panics are how they fail"
)]

mod addresses;
mod agora;
mod alerts;
mod announce;
mod approval;
mod audit;
mod book;
mod broadcast;
mod broadcast_driver;
mod calendars;
mod callbacks;
mod caps;
mod cases;
mod chinese;
mod circles;
mod client;
mod clients;
mod command_runs;
mod commands;
mod daemon;
mod edit;
mod environments;
mod failures;
mod figures;
mod fleet;
mod forms;
mod groups_module;
mod hooks;
mod hostile;
mod house;
mod interrupt;
mod invalid;
mod killed_calls;
mod kinds;
mod lint;
mod log;
mod lua;
mod luatest;
mod messages;
mod needs;
mod once;
mod outcomes;
mod page;
mod paths;
mod ramps;
mod recall;
mod reconcile;
mod rehearse;
mod reload;
mod requests;
mod run_output;
mod run_pages;
mod runs;
mod schedule;
mod secrets;
mod serve;
mod shared_quota;
mod shipping;
mod simulator;
mod store;
mod store_command;
mod stubs;
mod support;
mod suppress;
mod survival;
mod systemd;
mod targets;
mod top;
mod traces;
mod upgrade;
mod uploads;
mod verify;
mod web;
mod windows;
mod workers;
