//! The history of lines, in a file that only its owner can read.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use rustyline::Editor;
use rustyline::history::FileHistory;

use super::complete::NameCompleter;
use crate::cli::secret_words::may_hold_secret;

/// The maximum size of the history file that is read, in bytes.
const MOST: u64 = 1 << 20;

/// Loads the history from a file, if it exists and can be read.
pub(super) fn load(editor: &mut Editor<NameCompleter, FileHistory>, file: &Path) {
    if std::fs::metadata(file).is_ok_and(|metadata| metadata.len() > MOST) {
        tracing::warn!(
            "the history {} has more than {MOST} bytes, so it is not read; remove the file to start a new history",
            file.display()
        );
        return;
    }
    for line in std::fs::read_to_string(file).unwrap_or_default().lines() {
        // A line that cannot be added is skipped.
        let _ = editor.add_history_entry(line);
    }
}

/// Adds a line to the history and the file, unless it may contain a secret or begins with white space.
pub(super) fn add(editor: &mut Editor<NameCompleter, FileHistory>, file: &Path, line: &str) {
    if line.trim().is_empty() || line.starts_with(char::is_whitespace) || may_hold_secret(line) {
        return;
    }
    let _ = editor.add_history_entry(line);
    if let Err(error) = append(file, line) {
        tracing::debug!("{}: cannot add the line to the history: {error}", file.display());
    }
}

fn append(file: &Path, line: &str) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(file)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    file.write_all(format!("{line}\n").as_bytes())
}
