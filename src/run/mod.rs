//! The host side of a run: starts a worker process for each run, answers its requests, and ends it.

mod answers;
mod arguments;
mod broadcasts;
mod budget;
mod builder;
mod calendars;
mod console;
mod console_steps;
mod exit_reason;
mod figures;
mod files;
mod inputs;
mod interrupt;
mod jobs;
mod lists;
mod outbound;
mod output;
mod process;
mod recipient_file;
mod recording;
pub mod rehearsal;
mod reserve;
mod rest;
mod script_clock;
mod send_policy;
mod services;
mod session;
mod sources;
mod store;
pub mod testing;
mod uploads;
mod variables;

pub use arguments::form_of;
pub use broadcasts::{
    BroadcastSupervisor, OnChange, PlanProgress, ProjectInputs, SupervisedEnd, changed_note,
    undecided_changes,
};
pub use budget::HostMemory;
pub use builder::{PreparedRun, RunBuilder};
#[cfg(test)]
pub use calendars::read as read_calendar;
pub use calendars::{CALENDAR_EXTENSIONS, CALENDARS};
pub use console::{Console, ConsoleInput};
pub use files::{FileChange, MountedFile, ProjectFiles, ScriptFiles};
pub use interrupt::{Interrupt, cancel_at_signals};
pub use jobs::{DeclaredJobs, JobContext, job_start};
pub use outbound::{DocumentAnswer, PublicDocument, Webhook, net_problem};
pub use output::{DiscardOutput, ScriptOutput, log_line};
pub use process::confinement;
pub use recipient_file::{RecipientFileOptions, read_recipients};
pub use recording::{OutputWriter, RecordedOutput, RunOutcome, RunRecord};
pub use rest::request_refused;
pub use services::{NO_OVERRIDE, NO_SUPPRESS, RunServices, announce_refused};
pub use session::{OWN_BINARY, RunEnd, RunError};
pub use sources::{MAX_SOURCE, ModuleSnapshot, ModuleSources};
pub use store::StoreChange;
pub use variables::GrantedVariables;
