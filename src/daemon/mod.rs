//! `mooncast serve`: the host that runs the project's jobs for as long as it lives, and takes changed scripts in.
//!
//! May import: `schedule`, `host` and what is below them.

mod eyes;
mod files;
mod links;
mod load;
mod look;
mod registry;
mod scan;
mod settings;
mod settle;
mod version;
mod watch;

pub use load::{Loaded, Loader, worker_limits};
pub use registry::{Registered, Registry, ScriptStatus, Stale};
pub use settings::Reread;
pub use version::{Version, short};
pub use watch::Watch;
