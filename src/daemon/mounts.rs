//! The uploaded files of a run, as files on this host.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use crate::control::run_file_of;
use crate::ledger::Ledger;
use crate::run::MountedFile;

/// The folder below the project's state folder.
const FOLDER: &str = "run-files";

/// A folder that is older than any run can be belongs to a daemon that died.
const OLD: Duration = Duration::from_hours(7 * 24);

/// The uploaded files of one run. Dropping it removes them from the host; the ledger keeps them.
#[derive(Debug, Default)]
pub(super) struct RunFiles {
    pub(super) mounts: Vec<MountedFile>,
    /// Holds the files.
    _folder: Option<TempDir>,
}

impl RunFiles {
    /// Writes the uploaded files that the arguments name to a folder of their own.
    ///
    /// # Errors
    ///
    /// A file is not in the ledger any more, or cannot be written.
    pub(super) async fn of(ledger: &Ledger, state: &Path, args: &[String]) -> Result<Self, String> {
        let named = args.iter().filter_map(|arg| arg.split_once('=')).map(|(_, value)| value);
        let named: Vec<&str> = named.filter(|value| run_file_of(value).is_some()).collect();
        if named.is_empty() {
            return Ok(Self::default());
        }
        let mut files: Vec<(String, String, Vec<u8>)> = Vec::new();
        for value in named {
            let Some((hash, name)) = run_file_of(value) else { continue };
            if files.iter().any(|(known, ..)| known == value) {
                continue;
            }
            let content = ledger.run_file(hash).await.map_err(|error| error.to_string())?;
            let gone = || format!("the uploaded file {name} is not kept any more; upload it again");
            files.push((value.to_owned(), name.to_owned(), content.ok_or_else(gone)?));
        }
        let parent = state.join(FOLDER);
        let written = tokio::task::spawn_blocking(move || write(&parent, files)).await;
        let written = written.map_err(|_| "the daemon is shutting down".to_owned())?;
        written.map_err(|error| format!("the uploaded file cannot be written: {error}"))
    }
}

/// Writes files with a name and a content each, every one in a folder of its own.
fn write(parent: &Path, files: Vec<(String, String, Vec<u8>)>) -> io::Result<RunFiles> {
    fs::create_dir_all(parent)?;
    remove_old(parent);
    let folder = TempDir::new_in(parent)?;
    let mut mounts = Vec::new();
    for (index, (value, name, content)) in files.into_iter().enumerate() {
        let own = folder.path().join(index.to_string());
        fs::create_dir(&own)?;
        let path = own.join(name);
        fs::write(&path, content)?;
        mounts.push(MountedFile { name: value, path });
    }
    Ok(RunFiles { mounts, _folder: Some(folder) })
}

/// Removes the folders of daemons that died.
fn remove_old(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.filter_map(Result::ok) {
        let age = entry.metadata().and_then(|found| found.modified()).ok().and_then(|at| at.elapsed().ok());
        if age.is_some_and(|age| age > OLD) {
            // Another daemon may have removed it.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
