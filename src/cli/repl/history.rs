//! The history of lines, in a file that only its owner can read.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use rustyline::Editor;
use rustyline::history::FileHistory;

use super::complete::NameCompleter;

/// Words that mark a line as possibly secret. Such lines, and those that begin with white space, are not stored.
const SECRET: [&str; 6] = ["secret", "token", "password", "passwd", "bearer", "authorization"];

/// The maximum size of the history file that is read, in bytes.
const MOST: u64 = 1 << 20;

/// Loads the history from a file, if it exists and can be read.
pub(super) fn load(editor: &mut Editor<NameCompleter, FileHistory>, file: &Path) {
    if std::fs::metadata(file).is_ok_and(|metadata| metadata.len() > MOST) {
        tracing::warn!("{}: over {MOST} bytes, and left unread; remove it to begin anew", file.display());
        return;
    }
    for line in std::fs::read_to_string(file).unwrap_or_default().lines() {
        // A line that cannot be added is skipped.
        let _ = editor.add_history_entry(line);
    }
}

/// Adds a line to the history and the file, unless it may contain a secret.
pub(super) fn add(editor: &mut Editor<NameCompleter, FileHistory>, file: &Path, line: &str) {
    if line.trim().is_empty() || line.starts_with(char::is_whitespace) || may_hold_secret(line) {
        return;
    }
    let _ = editor.add_history_entry(line);
    if let Err(error) = append(file, line) {
        tracing::debug!("{}: the line is not kept: {error}", file.display());
    }
}

fn may_hold_secret(line: &str) -> bool {
    let line = line.to_lowercase();
    SECRET.iter().any(|word| line.contains(word))
}

fn append(file: &Path, line: &str) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(file)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    file.write_all(format!("{line}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::may_hold_secret;

    #[test]
    fn lines_with_secrets_are_known() {
        for line in
            ["x = env.secret(\"KEY\")", "Authorization = \"Bearer abc\"", "PASSWORD='a'", "app_token = 1"]
        {
            assert!(may_hold_secret(line), "{line}");
        }
        assert!(!may_hold_secret("im.group_send({ to = \"1\" })"));
    }
}
