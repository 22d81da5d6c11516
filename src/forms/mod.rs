//! The form of a script: its typed arguments, as its head comment declares them. Pure.
//!
//! - `head`: reads the declarations; `field`: one argument; `check`: checks a value; `values`: reads the arguments of a run.
//!
//! ```lua
//! --- Invites everybody on the list.
//! --- @arg city string The city to invite to
//! --- @arg day date The day
//! --- @arg list file .csv,.xlsx The audience
//! --- @arg tone? choice warm|formal = warm How it is said
//! ```

mod check;
mod field;
mod head;
#[cfg(test)]
mod tests;
mod values;

pub use check::ValueProblem;
pub use field::{ArgumentType, FormField};
pub use head::{FormError, ScriptForm};
pub use values::{ArgumentProblem, ArgumentProblems};

/// The prefix of the value of a file that is kept with a run: `upload:SHA256/NAME`.
pub const UPLOAD: &str = "upload:";
