//! The arguments of a run, checked against the form of its script.

use crate::forms::{ArgumentProblems, FormError, ScriptForm};
use crate::protocol::{LoadMode, LuaSource, NamedArgument};

/// Why a script cannot run with its arguments.
#[derive(Debug, thiserror::Error)]
pub enum ArgumentError {
    /// The script declares its arguments wrongly.
    #[error("{script}:{error}")]
    Form {
        script: String,
        #[source]
        error: FormError,
    },
    /// The arguments do not fit the form.
    #[error("{script}: {problems}; `mooncast run --help-script {script}` shows the arguments")]
    Values {
        script: String,
        #[source]
        problems: ArgumentProblems,
    },
}

/// The arguments of a run.
#[derive(Debug, Default)]
pub(super) struct RunArguments {
    /// The texts that identify them: `NAME=VALUE` each, if the script has a form.
    pub(super) given: Vec<String>,
    /// The texts for `args[1]`, `args[2]`.
    pub(super) positional: Vec<String>,
    /// The values for `args.NAME`.
    pub(super) named: Vec<NamedArgument>,
}

impl RunArguments {
    /// Checks the arguments that a script is run with. Only a run of the script itself needs them.
    ///
    /// # Errors
    ///
    /// The form of the script is wrong, or the arguments do not fit it.
    pub(super) fn of(script: &LuaSource, load: LoadMode, args: Vec<String>) -> Result<Self, ArgumentError> {
        let plain = |args: Vec<String>| Self { given: args.clone(), positional: args, named: Vec::new() };
        if matches!(load, LoadMode::Eval | LoadMode::Console) {
            return Ok(plain(args));
        }
        let form = form_of(script)?;
        if form.is_empty() || load != LoadMode::Run {
            return Ok(plain(args));
        }
        let values = form
            .read(&args)
            .map_err(|problems| ArgumentError::Values { script: script.name.clone(), problems })?;
        Ok(Self { given: values.args, positional: values.positional, named: values.named })
    }
}

/// Reads the form of a script.
///
/// # Errors
///
/// The first wrong declaration.
pub fn form_of(script: &LuaSource) -> Result<ScriptForm, ArgumentError> {
    ScriptForm::of(&script.text).map_err(|error| ArgumentError::Form { script: script.name.clone(), error })
}
