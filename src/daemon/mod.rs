//! `mooncast serve`: the host that runs the project's jobs for as long as it lives, and takes changed scripts in.
//!
//! May import: `schedule`, `host` and what is below them.

mod alerts;

pub use alerts::{Alert, Alerts};
