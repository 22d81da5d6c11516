//! The single integration test binary, with one file per feature.
//!
//! The tests of a file run on each store: with a ledger in a file, and with one on the server that `MOONCAST_TEST_STORE`
//! names. A line in a file's first comment says otherwise, and `tests/run` reads it:
//!
//! - `Store: file`: only without a server, because they have no ledger or break its file.
//! - `Store: server`: only with a server.
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

mod alerts;
mod book;
mod broadcast;
mod broadcast_driver;
mod cases;
mod circles;
mod client;
mod commands;
mod daemon;
mod failures;
mod figures;
mod fleet;
mod hooks;
mod hostile;
mod house;
mod interrupt;
mod invalid;
mod lint;
mod lua;
mod luatest;
mod messages;
mod once;
mod page;
mod paths;
mod recall;
mod rehearse;
mod reload;
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
mod survival;
mod systemd;
mod top;
mod traces;
mod uploads;
mod web;
mod workers;
