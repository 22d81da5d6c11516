//! Where the project is: its folder, and the path by which it was named, which may be a link that is moved to the next
//! release. The daemon stays with the folder that it was started in, and says so.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::ProjectHandle;

/// The project's folder as the watcher looks at it.
#[derive(Debug)]
pub(super) struct ProjectFolder {
    held: Arc<ProjectHandle>,
    named: Option<PathBuf>,
    /// Where the link led that was told of last.
    told: Option<PathBuf>,
}

impl ProjectFolder {
    pub(super) fn new(held: Arc<ProjectHandle>) -> Self {
        Self { held, named: None, told: None }
    }

    /// The project's folder.
    pub(super) fn held(&self) -> &ProjectHandle {
        &self.held
    }

    /// The path by which the project was named.
    pub(super) fn named(&mut self, path: PathBuf) {
        self.named = Some(path);
    }

    /// Whether the name leads to another folder now: what goes from this one is the old release's being cleared away.
    pub(super) const fn leads_elsewhere(&self) -> bool {
        self.told.is_some()
    }

    /// Looks whether the folder is there, and tells once where the name leads elsewhere.
    ///
    /// # Errors
    ///
    /// The folder is gone, or another one is in its place: what is in it cannot be said.
    pub(super) fn look(&mut self) -> io::Result<()> {
        if let Some(named) = &self.named {
            let leads = named.canonicalize().ok();
            let root = &self.held.project().root;
            let elsewhere = leads.filter(|leads| leads != root);
            if elsewhere != self.told {
                tell(named, root, elsewhere.as_deref());
                self.told = elsewhere;
            }
        }
        self.held.in_place()
    }
}

fn tell(named: &Path, root: &Path, elsewhere: Option<&Path>) {
    let (named, root) = (named.display(), root.display());
    if let Some(elsewhere) = elsewhere {
        tracing::error!(
            "{named} leads to {} now, and this daemon goes on with the scripts and the settings of {root}: its jobs stay as they are; restart it to have those of the new folder",
            elsewhere.display()
        );
    } else {
        tracing::info!("{named} leads to {root} again, or to nothing");
    }
}
