//! The settings: flags override the environment, which overrides `mooncast.toml`. Each section has its own file.

mod alerts;
mod app;
mod approval;
mod callbacks;
mod changes;
mod environment;
mod error;
mod explain;
mod file;
mod held;
mod login;
mod named_env;
mod permissions;
mod project;
mod records;
mod scripts;
mod serve;
mod settings;
mod store;
mod units;

pub use alerts::{ALERT_VARIABLES, AlertFormat, AlertKind, AlertSettings};
pub use app::{AgoraLogin, App, AppLimits, Credentials, TargetedCost, Timeouts};
pub use approval::ApprovalRules;
pub use callbacks::CallbackSecrets;
pub use environment::Environment;
pub use error::ConfigError;
pub use held::ProjectHandle;
pub use named_env::{ENV_VARIABLE, EnvName, is_env_file};
pub use permissions::Permissions;
pub use project::{DATA_FOLDER, FILE_NAME, Project, STATE_FOLDER};
pub use records::RecordSettings;
pub use scripts::ScriptLimits;
pub use serve::{HostRoles, ListenAddress, ServeSettings, TlsFiles};
pub use settings::{AppFlags, Settings};
pub use store::{STORE_VARIABLE, is_server};
pub use units::parse_size;
