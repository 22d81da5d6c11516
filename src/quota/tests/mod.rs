//! Tests in simulated time, against a model of the service that counts in one of four ways.

mod converge;
mod grant;
mod minutes;
pub(crate) mod model;
mod scene;
mod taking_turns;
mod waiters;
mod waits;
mod windows;
