//! `mooncast stubs`: writes the editor stubs into a project.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, bail};
use clap::Args;

use crate::config::FILE_NAME;
use crate::lint::stubs;

use super::{Exit, GlobalArgs};

/// The folder with the editor's stubs, which `.luarc.json` names.
pub(super) const FOLDER: &str = ".luals";

/// The file that tells an editor with `LuaLS` where the stubs are.
pub(super) const EDITOR_SETTINGS: (&str, &str) = (".luarc.json", include_str!("new/luarc.json"));

/// Update the editor files of a project: the stubs of this version of Mooncast, with which an editor completes `im.`
///
/// Writes only into a project, a folder with a mooncast.toml, or into the folder that `--project` names. Does not change an existing `.luarc.json`, or files in `.luals` that this version does not have; it only names them.
#[derive(Debug, Clone, Args)]
pub(super) struct StubsArgs {}

/// Writes the stubs and prints what changed.
pub(super) fn run(_: &StubsArgs, global: &GlobalArgs) -> anyhow::Result<Exit> {
    let project = global.in_no_env()?;
    // A folder that is named is meant.
    if global.project.is_none() && !project.settings_file().is_file() {
        bail!(
            "{} is no project, because it has no {FILE_NAME}; nothing was written. Go into a project's folder, or name the folder: mooncast stubs --project .",
            project.root.display()
        );
    }
    let root = project.root;
    let done = refresh(&root)?;
    let mut out = io::stdout();
    // The files are written even if this cannot be printed.
    let _ =
        writeln!(out, "{}/{FOLDER}: {} stubs, {} changed", root.display(), stubs::all().len(), done.changed);
    for file in done.unknown {
        let _ = writeln!(
            out,
            "{FOLDER}/{file} is not a stub of this version; delete it if you no longer need it"
        );
    }
    if done.editor_settings_lack_folder {
        let file = EDITOR_SETTINGS.0;
        let _ = writeln!(out, "{file} does not name `{FOLDER}`: add it to `workspace.library` there");
    }
    Ok(Exit::Delivered)
}

/// The result of [`refresh`].
struct RefreshedStubs {
    /// The number of stubs that were missing or had another text.
    changed: usize,
    /// Files in the folder that are not stubs of this version.
    unknown: Vec<String>,
    editor_settings_lack_folder: bool,
}

fn refresh(root: &Path) -> anyhow::Result<RefreshedStubs> {
    let folder = root.join(FOLDER);
    let stubs = stubs::all();
    let mut changed = 0;
    for stub in &stubs {
        let path = folder.join(&stub.file);
        if fs::read_to_string(&path).ok().as_deref() != Some(&stub.text) {
            write(&path, &stub.text)?;
            changed += 1;
        }
    }
    let mut unknown: Vec<String> = fs::read_dir(&folder)
        .with_context(|| format!("cannot read {}", folder.display()))?
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !stubs.iter().any(|stub| stub.file == *name))
        .collect();
    unknown.sort();
    let settings = root.join(EDITOR_SETTINGS.0);
    let editor_settings_lack_folder = match fs::read_to_string(&settings) {
        Ok(text) => !text.contains(FOLDER),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            write(&settings, EDITOR_SETTINGS.1)?;
            false
        }
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read {}", settings.display()));
        }
    };
    Ok(RefreshedStubs { changed, unknown, editor_settings_lack_folder })
}

/// Writes a file of a project, and creates the folders above it.
pub(super) fn write(path: &Path, content: &str) -> anyhow::Result<()> {
    let cannot = || format!("cannot write {}", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(cannot)?;
    }
    fs::write(path, content).with_context(cannot)
}
