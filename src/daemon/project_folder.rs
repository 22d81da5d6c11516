//! The project's folder, and the path that was given for it, which may be a link that moves to the next release.
//! The daemon stays with the folder in which it started, and logs when the link leads elsewhere.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::ProjectHandle;

/// The project's folder, as the scanner sees it.
#[derive(Debug)]
pub(super) struct ProjectFolder {
    held: Arc<ProjectHandle>,
    named: Option<PathBuf>,
    /// The link's target that was last logged.
    last_logged: Option<PathBuf>,
}

impl ProjectFolder {
    pub(super) fn new(held: Arc<ProjectHandle>) -> Self {
        Self { held, named: None, last_logged: None }
    }

    pub(super) fn held(&self) -> &ProjectHandle {
        &self.held
    }

    /// Sets the path that was given for the project.
    pub(super) fn named(&mut self, path: PathBuf) {
        self.named = Some(path);
    }

    /// Whether the given path leads to another folder now. Scripts that vanish from this folder are then part of a
    /// cleanup of the old release.
    pub(super) const fn leads_elsewhere(&self) -> bool {
        self.last_logged.is_some()
    }

    /// Checks that the folder is in place, and logs once if the given path leads elsewhere.
    pub(super) fn look(&mut self) -> io::Result<()> {
        if let Some(named) = &self.named {
            let leads = named.canonicalize().ok();
            let root = &self.held.project().root;
            let elsewhere = leads.filter(|leads| leads != root);
            if elsewhere != self.last_logged {
                log_location(named, root, elsewhere.as_deref());
                self.last_logged = elsewhere;
            }
        }
        self.held.in_place()
    }
}

fn log_location(named: &Path, root: &Path, elsewhere: Option<&Path>) {
    let (named, root) = (named.display(), root.display());
    if let Some(elsewhere) = elsewhere {
        tracing::error!(
            "{named} now leads to {}, but this daemon still uses the scripts and settings in {root}, and its jobs are unchanged; restart the daemon to load the new folder",
            elsewhere.display()
        );
    } else {
        tracing::info!("{named} leads to {root} again, or no longer exists");
    }
}
