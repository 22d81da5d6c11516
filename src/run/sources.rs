//! Finds modules for `require`: in the project's scripts, in their `lib/`, then in the embedded standard library.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rust_embed::RustEmbed;

use crate::config::Project;
use crate::protocol::{LuaSource, RequestFailure};
use crate::zones::Calendar;

use super::calendars;
use super::files::ModuleFolders;

/// The largest script or module, in bytes.
pub const MAX_SOURCE: u64 = 4 * 1024 * 1024;

/// The beginning of a calendar's name in [`ModuleSources::asked`]. No module has a name with a `/`.
const CALENDAR: &str = "calendars/";

/// The Lua standard library, embedded in the binary.
#[derive(RustEmbed)]
#[folder = "stdlib/"]
#[include = "*.lua"]
#[exclude = "meta/*"]
struct Stdlib;

/// The folders in which modules are searched, in this order.
#[derive(Debug)]
pub struct ModuleSources {
    folders: ModuleFolders,
    /// The folder of the calendars.
    calendars: ModuleFolders,
    /// The name of the running script, which is not a module: a script named like a library module would hide that
    /// module.
    script: String,
    /// Modules with fixed content, which replace the files.
    pinned: Option<Arc<ModuleSnapshot>>,
    /// Every module that was requested, with its source; `None` if the project does not have it.
    asked: Mutex<BTreeMap<String, Option<LuaSource>>>,
}

/// Modules by name: those that a script required when it was loaded.
pub type ModuleSnapshot = BTreeMap<String, LuaSource>;

impl ModuleSources {
    /// Creates the sources of a project and of the folder of the running script.
    pub fn new(project: &Project, script: &Path) -> Self {
        let own = script.parent().map(Path::to_owned);
        let scripts = project.root.join("scripts");
        let mut wanted: Vec<PathBuf> = vec![scripts.clone(), scripts.join("lib")];
        if let Some(own) = own {
            wanted.push(own.join("lib"));
            wanted.insert(0, own);
        }
        let folders = ModuleFolders::open(project, wanted);
        let calendars = ModuleFolders::open(project, vec![project.root.join(calendars::CALENDARS)]);
        Self { folders, calendars, script: project.shown(script), pinned: None, asked: Mutex::default() }
    }

    /// Returns the same sources, which never read these files as modules.
    pub fn without(self, secret_files: &[PathBuf]) -> Self {
        let (folders, calendars) = (self.folders.without(secret_files), self.calendars.without(secret_files));
        Self { folders, calendars, ..self }
    }

    /// Returns the same sources with these modules fixed, even if their files change.
    pub fn pinned(self, modules: Arc<ModuleSnapshot>) -> Self {
        Self { pinned: Some(modules), ..self }
    }

    /// Returns the modules found so far in the project. Modules of the standard library are not included.
    pub fn found(&self) -> ModuleSnapshot {
        self.asked().into_iter().filter_map(|(module, source)| Some((module, source?))).collect()
    }

    /// Returns all modules requested so far. The value is `None` for a module that the project does not have.
    pub fn asked(&self) -> BTreeMap<String, Option<LuaSource>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, module: &str, source: Option<&LuaSource>) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.insert(module.to_owned(), source.cloned());
    }

    /// Returns the source of a module.
    ///
    /// # Errors
    ///
    /// `invalid` when the name is malformed, the module does not exist, or its file cannot be read.
    pub fn find(&self, module: &str) -> Result<LuaSource, RequestFailure> {
        if let Some(pinned) = self.pinned.as_ref().and_then(|modules| modules.get(module)) {
            return Ok(pinned.clone());
        }
        let path = module_path(module)?;
        let candidates = [format!("{path}.lua"), format!("{path}/init.lua")];
        let unreadable = |path: &str, why: String| {
            self.note(module, None);
            RequestFailure::invalid("module", format!("module '{module}': {path}: {why}"))
        };
        for (index, shown) in self.folders.names().enumerate() {
            for candidate in &candidates {
                let name = if shown.is_empty() { candidate.clone() } else { format!("{shown}/{candidate}") };
                if name == self.script {
                    continue;
                }
                let text = self.folders.read(index, candidate, MAX_SOURCE);
                let text = text.map_err(|why| unreadable(candidate, why))?;
                if let Some(text) = text {
                    let source = LuaSource::new(name, text);
                    self.note(module, Some(&source));
                    return Ok(source);
                }
            }
        }
        self.note(module, None);
        if let Some(file) = candidates.iter().find_map(|candidate| Some((candidate, Stdlib::get(candidate)?)))
        {
            return Ok(LuaSource::new(format!("stdlib/{}", file.0), file.1.data.into_owned()));
        }
        let folders: Vec<&str> = self.folders.names().collect();
        Err(RequestFailure::invalid(
            "module",
            format!("module '{module}' not found in {}, nor in the standard library", folders.join(", ")),
        ))
    }

    /// Returns the calendar with this name, from `calendars/NAME.csv` or `calendars/NAME.ics`. Its file belongs to the
    /// script as a module does: a daemon loads the script again when it changes.
    ///
    /// # Errors
    ///
    /// `invalid` when the name is malformed, there is no such file or there are both, or it cannot be read.
    pub fn calendar(&self, name: &str) -> Result<Calendar, RequestFailure> {
        let invalid = |what: String| RequestFailure::invalid("calendar", format!("calendar: {what}"));
        let source = self.calendar_file(name).map_err(&invalid)?;
        calendars::read(&source.name, &source.text).map_err(invalid)
    }

    /// Looks a module or a calendar up again, by its name in [`ModuleSources::asked`].
    pub fn look_up(&self, asked: &str) {
        // An error is noted as a missing file; the load reports it.
        match asked.strip_prefix(CALENDAR) {
            Some(name) => drop(self.calendar_file(name)),
            None => drop(self.find(asked)),
        }
    }

    /// Returns the file of the calendar with this name; see [`ModuleSources::calendar`].
    pub(super) fn calendar_file(&self, name: &str) -> Result<LuaSource, String> {
        let asked = format!("{CALENDAR}{name}");
        if let Some(pinned) = self.pinned.as_ref().and_then(|modules| modules.get(&asked)) {
            return Ok(pinned.clone());
        }
        if !calendars::is_name(name) {
            return Err(format!(
                "`{}` is not the name of a calendar; write letters, digits, `_` and `-`",
                name.escape_debug()
            ));
        }
        let mut found = Vec::new();
        for extension in calendars::CALENDAR_EXTENSIONS {
            let file = format!("{name}.{extension}");
            let text = self.calendars.read(0, &file, MAX_SOURCE).map_err(|why| {
                self.note(&asked, None);
                format!("{CALENDAR}{file}: {why}")
            })?;
            found.extend(text.map(|text| LuaSource { name: format!("{CALENDAR}{file}"), text: text.into() }));
        }
        // Of two files neither counts, so that a second file is a change.
        self.note(&asked, if let [one] = found.as_slice() { Some(one) } else { None });
        match found.as_slice() {
            [one] => Ok(one.clone()),
            [] => Err(format!("there is no {CALENDAR}{name}.csv and no {CALENDAR}{name}.ics")),
            _ => Err(format!("there are both {CALENDAR}{name}.csv and {CALENDAR}{name}.ics; remove one")),
        }
    }

    /// Returns the names of the modules in the embedded standard library.
    pub fn stdlib() -> Vec<String> {
        Stdlib::iter().map(|file| file.trim_end_matches(".lua").replace('/', ".")).collect()
    }
}

/// Converts a module name such as `a.b` into the path `a/b`. Rejects any name that could lead elsewhere.
fn module_path(module: &str) -> Result<String, RequestFailure> {
    let fine = |part: &str| {
        !part.is_empty() && part.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-'))
    };
    let path = module.replace('.', "/");
    if module.len() > 200 || !path.split('/').all(fine) {
        let shown: String = module.escape_debug().take(80).collect();
        return Err(RequestFailure::invalid(
            "module",
            format!(
                "'{shown}' is not a module name; write names of letters, digits, `_` and `-`, with dots between"
            ),
        ));
    }
    Ok(path)
}
