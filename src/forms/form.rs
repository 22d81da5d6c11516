//! The form of a script, however the script declares it.

use serde::{Deserialize, Serialize};

use crate::lint::args_table;

use super::field::FormField;
use super::head::Head;
use super::table;

/// A wrong declaration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}: {message}")]
pub struct FormError {
    /// The line, from 1.
    pub line: usize,
    pub message: String,
}

/// The arguments that a script declares, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ScriptForm {
    pub fields: Vec<FormField>,
}

impl ScriptForm {
    /// Reads the declarations of a script: `--- @arg` at its head, or the table that it assigns to `args`. The script
    /// does not run. A script without declarations has an empty form.
    ///
    /// # Errors
    ///
    /// The first wrong declaration, with its line.
    pub fn of(script: &[u8]) -> Result<Self, FormError> {
        let head = Head::of(script)?;
        let table = args_table(script)
            .map_err(|finding| FormError { line: finding.line, message: finding.message })?;
        let Some(table) = table else { return Ok(Self { fields: head.fields }) };
        if !head.fields.is_empty() {
            let message = format!(
                "the arguments are declared twice, by `@arg` in line {} and by `args` here; keep one of the two",
                head.line
            );
            return Err(FormError { line: table.line, message });
        }
        Ok(Self { fields: table::fields(&table)? })
    }

    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }
}
