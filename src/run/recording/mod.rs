//! Records runs in the ledger: what they print and log, and how they end.
//!
//! - `output`: writes the output; `output_buffer`: its first and its last lines; `outcome`: the state and the note.

mod outcome;
mod output;
mod output_buffer;

pub use outcome::RunOutcome;
pub use output::{OutputWriter, RecordedOutput, RunRecord};
