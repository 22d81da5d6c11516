//! The fake service over real HTTP on loopback, with its time in the test's hands.

mod errors;
mod faults;
mod files;
mod harness;
mod lists;
mod rates;
mod recall;
mod received;
mod tokens;
