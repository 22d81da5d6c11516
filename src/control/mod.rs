//! What operators can see and do. The command line, `top`, the page and the API parse a request, call this room, and
//! print its answer.
//!
//! - `action`: the actions and their results; `broadcasts`, `approval`, `replan`, `cancel`, `recall`, `edit`, `sends`, `suppressions`, `jobs`, `scripts`, `run_files`, `rehearsals`:
//!   what each of them does;
//! - `view`: the values that are shown; `text`: numbers, durations and times as text;
//! - `daemon`: which process carries out a command.
//!
//! Commands go through the ledger. May import: `run`, `schedule` and what is below them.

mod action;
mod approval;
mod audit;
mod broadcasts;
mod cancel;
mod daemon;
mod edit;
mod error;
mod jobs;
mod recall;
mod records;
mod rehearsals;
mod replan;
mod run_files;
mod scripts;
mod sends;
mod suppressions;
mod text;
mod view;

pub use action::{ActionResult, BroadcastAction, JobAction, SendAction};
pub use approval::{Verdict, approve, reject};
pub use audit::{addition_act, arguments_as_details, removal_act};
pub use broadcasts::{continue_as_stored, pause, resume, retry, settle};
pub use cancel::cancel;
pub use daemon::DAEMON;
pub use edit::{current_text, edit, preview_edit};
pub use error::ControlError;
pub use jobs::{act_on_job, find_job};
pub use recall::{app_of, recall};
pub use records::{ask_service, settle_proven, verification_text, verified_text, verify};
pub use rehearsals::{
    REHEARSAL_LIMIT, RehearsalState, RehearsalView, begin_rehearsal, find_rehearsal, rehearsals_of,
};
pub use replan::replan;
pub use run_files::{MAX_RUN_FILE, keep_run_file, run_file_of};
pub use scripts::{asked_scripts, find_script, form_of_row, named_arguments, run_script};
pub use sends::{find_send, settle_send};
pub use suppressions::{SuppressionRequest, SuppressionView, suppress, suppressions_csv, unsuppress};
pub use text::{amount, counts_text, parts_of_time, rate_text, span};
pub use view::*;

pub use crate::message::is_invisible;
