//! The form of a script: its typed arguments, as its head comment or its table `args` declares them. Pure.
//!
//! - `form`: the form of a script; `head`: reads a head; `table`: reads a table; `declare`: the rules that both share.
//! - `field`: one argument; `check`: checks a value; `values`: reads the arguments of a run.
//!
//! ```lua
//! --- Invites everybody on the list.
//! --- @arg city string The city to invite to
//! --- @arg list file .csv,.xlsx The audience
//! --- @arg tone? choice warm|formal = warm How it is said
//! ```
//!
//! ```lua
//! args = {
//!   { name = "city", type = "string", help = "The city to invite to" },
//!   { name = "list", type = "file", extensions = { ".csv", ".xlsx" }, help = "The audience" },
//!   { name = "tone", type = "choice", choices = { "warm", "formal" }, default = "warm", help = "How it is said" },
//! }
//! ```

mod check;
mod declare;
mod field;
mod form;
mod head;
mod table;
#[cfg(test)]
mod tests;
mod values;

pub use check::ValueProblem;
pub use field::{ArgumentType, FormField};
pub use form::{FormError, ScriptForm};
pub use values::{ArgumentProblem, ArgumentProblems};

/// The prefix of the value of a file that is kept with a run: `upload:SHA256/NAME`.
pub const UPLOAD: &str = "upload:";
