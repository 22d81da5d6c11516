//! The simulated service over real HTTP on loopback. The tests control its clock.
//!
//! Store: file

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers fail as its own lines do")]

mod announce;
mod callbacks;
mod errors;
mod faults;
mod files;
mod groups;
mod harness;
mod history;
mod lenient;
mod lists;
mod page;
mod rates;
mod recall;
mod received;
mod rewrite;
mod strange;
mod tokens;
