//! Files that are uploaded as arguments of a run.

use super::ControlError;
use crate::forms::{
    ArgumentProblem, ArgumentProblems, ArgumentType, FormField, ScriptForm, UPLOAD, ValueProblem,
};
use crate::ledger::{ALL_RUN_FILES, KeepFileResult, Ledger};

/// The most bytes of an uploaded file: what a script can read at once.
pub const MAX_RUN_FILE: usize = 16 * 1024 * 1024;

/// The most characters of a file's name.
const MAX_NAME: usize = 60;

/// The number of characters of a hash.
const HASH: usize = 64;

/// Keeps an uploaded file in the ledger. Returns the value of its argument: `upload:SHA256/NAME`. `field` is the argument that
/// it is for, if that is known.
///
/// # Errors
///
/// The name, the suffix, the size or the content cannot be used, or there is no room.
pub async fn keep_run_file(
    ledger: &Ledger,
    field: Option<&FormField>,
    name: &str,
    content: &[u8],
) -> Result<String, ControlError> {
    let refused = |problem: ValueProblem| match field {
        Some(field) => {
            ControlError::Arguments(ArgumentProblems(vec![ArgumentProblem::of(&field.name, name, problem)]))
        }
        None => ControlError::Invalid(format!("the file {name:?} {problem}")),
    };
    if !is_name(name) {
        return Err(refused(ValueProblem::FileName));
    }
    if let Some(problem) = field.and_then(|field| field.check(name).err()) {
        return Err(refused(problem));
    }
    if content.is_empty() {
        return Err(refused(ValueProblem::EmptyFile));
    }
    if content.len() > MAX_RUN_FILE {
        return Err(refused(ValueProblem::Large { bytes: MAX_RUN_FILE }));
    }
    match ledger.keep_run_file(content).await? {
        KeepFileResult::Kept(hash) => Ok(format!("{UPLOAD}{hash}/{name}")),
        KeepFileResult::Full => Err(refused(ValueProblem::Full { bytes: ALL_RUN_FILES })),
    }
}

/// Whether a name is the name of a file in a folder, on any system.
fn is_name(name: &str) -> bool {
    let bad = |letter: char| matches!(letter, '/' | '\\' | ':') || letter.is_control();
    !name.is_empty() && name.chars().count() <= MAX_NAME && !name.contains(bad) && !name.starts_with('.')
}

/// The hash and the name of an uploaded file, by the value of its argument.
pub fn run_file_of(value: &str) -> Option<(&str, &str)> {
    let (hash, name) = value.strip_prefix(UPLOAD)?.split_once('/')?;
    let is_hash = hash.len() == HASH && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (is_hash && is_name(name)).then_some((hash, name))
}

/// Checks that the files which the arguments name are kept.
pub(super) async fn check_run_files(
    ledger: &Ledger,
    form: &ScriptForm,
    args: &[String],
) -> Result<(), ControlError> {
    let mut problems = Vec::new();
    for field in form.fields.iter().filter(|field| field.kind == ArgumentType::File) {
        let prefix = format!("{}=", field.name);
        let Some(value) = args.iter().find_map(|arg| arg.strip_prefix(&prefix)) else { continue };
        let problem = match run_file_of(value) {
            None => Some(ValueProblem::NotUploaded),
            Some((hash, _)) => ledger.run_file_size(hash).await?.is_none().then_some(ValueProblem::Gone),
        };
        problems.extend(problem.map(|problem| ArgumentProblem::of(&field.name, value, problem)));
    }
    if problems.is_empty() { Ok(()) } else { Err(ControlError::Arguments(ArgumentProblems(problems))) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn only_plain_names_of_files_are_taken(name in any::<String>()) {
            if is_name(&name) {
                let joined = std::path::Path::new("/folder").join(&name);
                prop_assert_eq!(joined.parent(), Some(std::path::Path::new("/folder")));
                prop_assert_eq!(joined.file_name().and_then(|last| last.to_str()), Some(name.as_str()));
                let value = format!("{UPLOAD}{}/{name}", "a".repeat(HASH));
                prop_assert_eq!(run_file_of(&value).map(|(_, name)| name), Some(name.as_str()));
            }
        }
    }
}
