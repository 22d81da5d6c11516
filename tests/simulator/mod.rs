//! The simulated service over real HTTP on loopback. The tests control its clock.
//!
//! Store: file

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers fail as its own lines do")]

mod errors;
mod faults;
mod files;
mod harness;
mod lists;
mod rates;
mod recall;
mod received;
mod tokens;
