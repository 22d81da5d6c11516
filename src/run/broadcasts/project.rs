//! Compares the inputs of a stored plan with the project's current files, without running the script.

use std::path::PathBuf;

use crate::config::{Project, Settings};
use crate::core::sha256_hex;
use crate::forms::UPLOAD;
use crate::ledger::{InputKind, PlanInput};
use crate::run::builder::SetupError;
use crate::run::files::ProjectFiles;
use crate::run::sources::ModuleSources;

use super::inputs::of_file;

/// The current script, modules, files and audience of a broadcast.
pub struct ProjectInputs {
    script: PathBuf,
    sources: ModuleSources,
    files: ProjectFiles,
}

impl ProjectInputs {
    /// Opens the inputs of a script. `script` is the path that its plan stores.
    pub fn of(project: &Project, settings: &Settings, script: &str) -> Result<Self, SetupError> {
        let path = project.root.join(script);
        let script = path.canonicalize().unwrap_or(path);
        let files = ProjectFiles::new(project, &settings.permissions, &settings.secret_files, Some(&script))
            .map_err(|error| SetupError::Missing(project.root.clone(), error))?;
        let sources = ModuleSources::new(project, &script).without(&settings.secret_files);
        Ok(Self { script, sources, files })
    }

    /// Returns the inputs that have changed. Arguments and fields follow from the script; recipients that a script
    /// draws are known only when the script runs.
    pub async fn changed(&self, stored: &[PlanInput]) -> Vec<PlanInput> {
        let mut changed = self.code_changed(stored);
        // The name of an uploaded file has the hash of its content.
        for input in stored.iter().filter(|input| !input.name.starts_with(UPLOAD)) {
            let now = match input.kind {
                InputKind::File => {
                    self.files.read(&input.name).await.ok().map(|content| sha256_hex(&content))
                }
                InputKind::Audience => match self.files.open_upload(&input.name).await {
                    Ok(opened) => of_file(opened.file).await.ok().map(|(_, hash)| hash),
                    Err(_) => None,
                },
                _ => continue,
            };
            if now.as_ref() != Some(&input.hash) {
                changed.push(input.clone());
            }
        }
        changed
    }

    /// Returns which of the script and its modules have changed.
    pub fn code_changed(&self, stored: &[PlanInput]) -> Vec<PlanInput> {
        let changed = stored.iter().filter(|input| {
            let now = match input.kind {
                InputKind::Script => std::fs::read(&self.script).ok().map(|text| sha256_hex(&text)),
                InputKind::Module => {
                    self.sources.find(&input.name).ok().map(|source| sha256_hex(&source.text))
                }
                _ => return false,
            };
            now.as_ref() != Some(&input.hash)
        });
        changed.cloned().collect()
    }
}
