//! Where `require` finds modules: the project's scripts, their `lib/`, then the embedded standard library.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use rust_embed::RustEmbed;

use crate::config::Project;
use crate::protocol::{Failure, Source};

/// The largest script or module in bytes.
pub const MAX_SOURCE: u64 = 4 * 1024 * 1024;

/// The standard library in Lua, part of the binary.
#[derive(RustEmbed)]
#[folder = "stdlib/"]
#[include = "*.lua"]
#[exclude = "meta/*"]
struct Stdlib;

/// Folders that modules are looked for in, in this order.
#[derive(Debug)]
pub struct Sources {
    folders: Vec<(String, Dir)>,
    /// The script that is run, which is no module: one that is named as a module of the library would hide it.
    script: String,
    /// What modules are, whatever their files say by now.
    pinned: Option<Arc<Snapshot>>,
    /// Every module that was asked for, and what it was found to be in the project.
    asked: Mutex<BTreeMap<String, Option<Source>>>,
}

/// Modules by name: what a script required when it was loaded.
pub type Snapshot = BTreeMap<String, Source>;

impl Sources {
    /// The folders of a project, and that of the script that is run.
    #[must_use]
    pub fn new(project: &Project, script: &Path) -> Self {
        let own = script.parent().map(Path::to_owned);
        let scripts = project.root.join("scripts");
        let mut wanted: Vec<PathBuf> = vec![scripts.clone(), scripts.join("lib")];
        if let Some(own) = own {
            wanted.push(own.join("lib"));
            wanted.insert(0, own);
        }
        let mut seen = Vec::new();
        let mut folders = Vec::new();
        for folder in wanted {
            if seen.contains(&folder) {
                continue;
            }
            if let Ok(dir) = Dir::open_ambient_dir(&folder, ambient_authority()) {
                folders.push((project.shown(&folder), dir));
            }
            seen.push(folder);
        }
        Self { folders, script: project.shown(script), pinned: None, asked: Mutex::default() }
    }

    /// The same with these modules as they were, whatever their files say by now.
    #[must_use]
    pub fn pinned(self, modules: Arc<Snapshot>) -> Self {
        Self { pinned: Some(modules), ..self }
    }

    /// The modules that were found so far, those of the standard library left out.
    #[must_use]
    pub fn found(&self) -> Snapshot {
        self.asked().into_iter().filter_map(|(module, source)| Some((module, source?))).collect()
    }

    /// The modules that were asked for so far; those that are not in the project, with none.
    #[must_use]
    pub fn asked(&self) -> BTreeMap<String, Option<Source>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, module: &str, source: Option<&Source>) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.insert(module.to_owned(), source.cloned());
    }

    /// The text of a module.
    ///
    /// # Errors
    ///
    /// `invalid` when the name is none, or no such module is there, or its file cannot be read.
    pub fn find(&self, module: &str) -> Result<Source, Failure> {
        if let Some(pinned) = self.pinned.as_ref().and_then(|modules| modules.get(module)) {
            return Ok(pinned.clone());
        }
        let path = module_path(module)?;
        let candidates = [format!("{path}.lua"), format!("{path}/init.lua")];
        for (shown, folder) in &self.folders {
            for candidate in &candidates {
                let name = if shown.is_empty() { candidate.clone() } else { format!("{shown}/{candidate}") };
                if name == self.script {
                    continue;
                }
                let text = read(folder, candidate, module).inspect_err(|_| self.note(module, None))?;
                if let Some(text) = text {
                    let source = Source::new(name, text);
                    self.note(module, Some(&source));
                    return Ok(source);
                }
            }
        }
        self.note(module, None);
        if let Some(file) = candidates.iter().find_map(|candidate| Some((candidate, Stdlib::get(candidate)?)))
        {
            return Ok(Source::new(format!("stdlib/{}", file.0), file.1.data.into_owned()));
        }
        let folders: Vec<&str> = self.folders.iter().map(|(name, _)| name.as_str()).collect();
        Err(Failure::invalid(
            "module",
            format!("module '{module}' not found in {}, nor in the standard library", folders.join(", ")),
        ))
    }

    /// The names of the modules of the embedded standard library.
    #[must_use]
    pub fn stdlib() -> Vec<String> {
        Stdlib::iter().map(|file| file.trim_end_matches(".lua").replace('/', ".")).collect()
    }
}

/// `a.b` is the file `a/b`; anything that could lead elsewhere is no module's name.
fn module_path(module: &str) -> Result<String, Failure> {
    let fine = |part: &str| {
        !part.is_empty() && part.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-'))
    };
    let path = module.replace('.', "/");
    if module.len() > 200 || !path.split('/').all(fine) {
        let shown: String = module.escape_debug().take(80).collect();
        return Err(Failure::invalid(
            "module",
            format!(
                "'{shown}' is no module's name; write names of letters, digits, `_` and `-`, with dots between"
            ),
        ));
    }
    Ok(path)
}

fn read(folder: &Dir, path: &str, module: &str) -> Result<Option<Vec<u8>>, Failure> {
    let unreadable = |why: String| Failure::invalid("module", format!("module '{module}': {path}: {why}"));
    match folder.metadata(path) {
        Ok(metadata) if metadata.is_file() && metadata.len() <= MAX_SOURCE => {}
        Ok(metadata) if metadata.is_file() => {
            return Err(unreadable(format!("{} bytes are over the limit of {MAX_SOURCE}", metadata.len())));
        }
        _ => return Ok(None),
    }
    let mut text = Vec::new();
    let file = folder.open(path).map_err(|error| unreadable(error.to_string()))?;
    file.take(MAX_SOURCE).read_to_end(&mut text).map_err(|error| unreadable(error.to_string()))?;
    Ok(Some(text))
}
