//! The host's end of the pipe: starts a worker for each run, answers what its script asks for, and ends it.
//!
//! May import: `delivery` and what is below it, `schedule`, `protocol`, `clock`.

mod answers;
mod broadcasts;
mod budget;
mod console;
mod death;
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
    Broadcasts, Keeper, Kept, OnChange, PlanUnderway, ProjectInputs, changed_note, input_words,
};
pub use budget::{Budget, HostMemory};
pub use console::{Console, Line};
pub use files::{FileChange, Files, ScriptFiles};
pub use inputs::Inputs;
pub use interrupt::{Interrupt, InterruptSwitch};
pub use jobs::{Jobs, OfJob};
pub use outbound::{Outbound, Webhook, net_problem};
pub use output::{Output, Silence, log_line};
pub use process::confinement;
pub use services::{Part, Planned, RunStop, Services, SetUpError};
pub use session::{Ended, Failed, OWN_BINARY, RunSpec, run};
pub use sources::{MAX_SOURCE, Snapshot, Sources};
pub use store::{Store, StoreChange};
pub use variables::Variables;
