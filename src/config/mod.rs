//! The settings: `mooncast.toml`, the environment, the flags. One file a section.
//!
//! May import: nothing of the house.

mod app;

pub use app::{App, AppLimits, Credentials, TargetedCost, Timeouts};
