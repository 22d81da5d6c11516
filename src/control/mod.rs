//! What operators can see and do. The command line, `top`, the page and the API parse a request, call this room, and
//! print its answer.
//!
//! - `action`: the actions and their results; `broadcasts`, `replan`, `cancel`, `recall`, `sends`, `jobs`, `scripts`:
//!   what each of them does;
//! - `view`: the values that are shown; `text`: numbers, durations and times as text;
//! - `daemon`: which process carries out a command.
//!
//! Commands go through the ledger. May import: `run`, `schedule` and what is below them.

mod action;
mod broadcasts;
mod cancel;
mod daemon;
mod error;
mod jobs;
mod recall;
mod replan;
mod scripts;
mod sends;
mod text;
mod view;

pub use action::{ActionResult, BroadcastAction, JobAction, SendAction};
pub use broadcasts::{continue_as_stored, pause, resume, retry, settle};
pub use cancel::cancel;
pub use daemon::DAEMON;
pub use error::ControlError;
pub use jobs::{act_on_job, find_job};
pub use recall::{app_of, recall};
pub use replan::replan;
pub use scripts::{asked_scripts, run_script};
pub use sends::{find_send, settle_send};
pub use text::{amount, counts_text, parts_of_time, rate_text, span, utc};
pub use view::*;
