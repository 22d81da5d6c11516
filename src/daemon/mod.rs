//! `mooncast serve`: the host that runs the project's jobs for as long as it lives, and takes changed scripts in.
//!
//! May import: `schedule`, `host` and what is below them.

mod load;
mod registry;
mod scan;
mod version;

pub use load::{Loaded, Loader, worker_limits};
pub use registry::{Registered, Registry, ScriptStatus, Stale};
pub use version::{Version, short};
