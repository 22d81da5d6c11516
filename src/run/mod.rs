//! The host side of a run: starts a worker process for each run, answers its requests, and ends it.
//!
//! May import: `delivery` and what is below it, `schedule`, `protocol`, `clock`.

mod answers;
mod broadcasts;
mod budget;
mod console;
mod console_steps;
mod exit_reason;
mod figures;
mod files;
mod inputs;
mod interrupt;
mod jobs;
mod outbound;
mod output;
mod process;
pub mod rehearsal;
mod reserve;
mod services;
mod session;
mod sources;
mod store;
pub mod testing;
mod variables;

pub use broadcasts::{
    BroadcastSupervisor, OnChange, PlanProgress, ProjectInputs, RunBroadcasts, SupervisedEnd, changed_note,
};
pub use budget::{HostMemory, MemoryBudget};
pub use console::{Console, ConsoleInput};
pub use files::{FileChange, ProjectFiles, ScriptFiles};
pub use inputs::RunInputs;
pub use interrupt::{Interrupt, InterruptSwitch};
pub use jobs::{DeclaredJobs, JobContext};
pub use outbound::{OutboundHttp, Webhook, net_problem};
pub use output::{DiscardOutput, ScriptOutput, log_line};
pub use process::confinement;
pub use services::{RunMode, RunServices, RunStop};
pub use session::{OWN_BINARY, RunEnd, RunError, RunSpec, run_script};
pub use sources::{MAX_SOURCE, ModuleSnapshot, ModuleSources};
pub use store::{ScriptStore, StoreChange};
pub use variables::GrantedVariables;
