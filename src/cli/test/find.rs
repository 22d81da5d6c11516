//! Finds the test files.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::config::Project;

use super::super::GlobalArgs;

/// The files that were named, and the test files below the folders that were named. The default folder is scripts/.
pub(super) fn files(paths: &[PathBuf], global: &GlobalArgs) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if paths.is_empty() {
        let project = project(global, None)?;
        let scripts = project.root.join("scripts");
        if scripts.is_dir() {
            below(&scripts, &project, &mut found).with_context(|| format!("{}", scripts.display()))?;
        }
    }
    for path in paths {
        let shown = || format!("{}", path.display());
        if !std::fs::metadata(path).with_context(shown)?.is_dir() {
            found.push(path.clone());
            continue;
        }
        let folder = path.canonicalize().with_context(shown)?;
        let project = project(global, Some(&folder))?;
        below(&folder, &project, &mut found).with_context(shown)?;
    }
    if found.is_empty() {
        let folders = match paths {
            [] => "scripts/".to_owned(),
            paths => paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", "),
        };
        bail!(
            "there are no tests in {folders}; test files are in scripts/tests/ or have names that end in _test.lua"
        );
    }
    Ok(found)
}

fn project(global: &GlobalArgs, folder: Option<&Path>) -> anyhow::Result<Project> {
    global.in_env(match &global.project {
        Some(folder) => Project::at(folder).with_context(|| format!("--project {}", folder.display()))?,
        None => Project::of(folder).context("the project's folder")?,
    })
}

/// The test files below a folder, without names that begin with a dot.
fn below(folder: &Path, project: &Project, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            below(&path, project, found)?;
        } else if project.is_test(&path) && path.is_file() {
            found.push(path);
        }
    }
    Ok(())
}
