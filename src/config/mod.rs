//! The settings: flags override the environment, which overrides `mooncast.toml`. Each section has its own file.

mod alerts;
mod app;
mod changes;
mod environment;
mod error;
mod explain;
mod file;
mod held;
mod permissions;
mod project;
mod scripts;
mod serve;
mod settings;
mod store;
mod units;

pub use alerts::{AlertKind, AlertSettings};
pub use app::{App, AppLimits, Credentials, TargetedCost, Timeouts};
pub use environment::Environment;
pub use error::ConfigError;
pub use held::ProjectHandle;
pub use permissions::Permissions;
pub use project::{FILE_NAME, Project, STATE_FOLDER};
pub use scripts::ScriptLimits;
pub use serve::{HostRoles, ListenAddress, ServeSettings, TlsFiles};
pub use settings::{AppFlags, Settings};
pub use store::{STORE_VARIABLE, is_server};
pub use units::{parse_duration, parse_size};
