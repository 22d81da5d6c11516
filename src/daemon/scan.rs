//! Finds the scripts: the Lua files under `scripts/`, without the library, the tests and editors' temporary files.
//! `mooncast serve` and `mooncast check` share this rule.

use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use crate::run::CALENDAR_EXTENSIONS;

/// The maximum folder depth of the search.
const DEPTH: usize = 16;

/// A Lua file that is not a script of a daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedFile {
    pub path: PathBuf,
    /// Why the file is skipped, as a phrase.
    pub why: &'static str,
}

/// The result of a search.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct FoundScripts {
    /// The scripts, sorted by path.
    pub scripts: Vec<PathBuf>,
    /// The other Lua files, sorted by path. Scripts may require those whose names are UTF-8.
    pub left_out: Vec<SkippedFile>,
    /// The folders that were searched.
    pub folders: Vec<PathBuf>,
}

impl FoundScripts {
    /// The Lua files that scripts may require.
    pub(super) fn modules(&self) -> impl Iterator<Item = &PathBuf> {
        self.left_out.iter().map(|left| &left.path).filter(|path| path.file_name().is_some_and(is_text))
    }
}

/// Finds the scripts in the folder `scripts`. A missing folder is empty.
pub fn scripts(scripts: &Path) -> io::Result<FoundScripts> {
    let mut found = FoundScripts::default();
    let mut above = match std::fs::metadata(scripts) {
        Ok(top) => vec![(top.dev(), top.ino())],
        Err(error) if std::fs::symlink_metadata(scripts).is_ok() => return Err(error),
        Err(_) => Vec::new(),
    };
    scan_folder(scripts, scripts, &mut above, &mut found)?;
    found.scripts.sort();
    found.left_out.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

/// Finds the calendars in their folder. A folder that is missing or cannot be read is empty: a load that needs one of
/// its calendars reports why.
pub(super) fn calendars(folder: &Path) -> Vec<PathBuf> {
    let is_calendar = |path: &PathBuf| {
        let extension = path.extension().and_then(OsStr::to_str);
        extension.is_some_and(|extension| CALENDAR_EXTENSIONS.contains(&extension))
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.flatten().map(|entry| entry.path()).filter(is_calendar).collect()
}

/// Why a file below `scripts` is not a script of a daemon. `None` if it is one.
pub fn why_left_out(scripts: &Path, file: &Path) -> Option<&'static str> {
    let below: Vec<&OsStr> = file
        .strip_prefix(scripts)
        .ok()?
        .components()
        .filter_map(|part| if let Component::Normal(name) = part { Some(name) } else { None })
        .collect();
    let (name, folders) = below.split_last()?;
    if below.iter().any(|part| part.as_encoded_bytes().starts_with(b".")) {
        Some("its name or the name of its folder begins with a dot")
    } else if !below.iter().all(|part| is_text(part)) {
        Some("its name or the name of its folder is not UTF-8")
    } else if name.as_encoded_bytes().ends_with(b"_test.lua")
        || folders.first().is_some_and(|top| *top == "tests")
    {
        Some("it contains tests for `mooncast test`")
    } else if folders.iter().any(|folder| *folder == "lib") {
        Some("it is in a folder `lib`, so it is a module that scripts require")
    } else {
        None
    }
}

fn is_text(name: &OsStr) -> bool {
    name.to_str().is_some()
}

fn scan_folder(
    top: &Path,
    folder: &Path,
    above: &mut Vec<(u64, u64)>,
    found: &mut FoundScripts,
) -> io::Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    found.folders.push(folder.to_owned());
    for entry in entries {
        let path = entry?.path();
        if path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b".")) {
            continue;
        }
        // Links are followed. A link that leads nowhere is not a script.
        let Ok(metadata) = std::fs::metadata(&path) else { continue };
        if metadata.is_dir() {
            let id = (metadata.dev(), metadata.ino());
            if above.contains(&id) || above.len() > DEPTH {
                continue;
            }
            above.push(id);
            scan_folder(top, &path, above, found)?;
            above.pop();
        } else if metadata.is_file() && path.extension().is_some_and(|extension| extension == "lua") {
            match why_left_out(top, &path) {
                Some(why) => found.left_out.push(SkippedFile { path, why }),
                None => found.scripts.push(path),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn libraries_tests_and_hidden_files_are_no_scripts() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("scripts");
        assert_eq!(scripts(&root).unwrap(), FoundScripts::default());
        for file in [
            "b.lua",
            "a.lua",
            "a_test.lua",
            ".#a.lua",
            "a.lua~",
            "a.lua.swp",
            "lib/x.lua",
            "tests/y.lua",
            "team/c.lua",
            "team/lib/z.lua",
            ".git/d.lua",
        ] {
            let path = root.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        std::os::unix::fs::symlink("nowhere.lua", root.join("dangling.lua")).unwrap();
        let odd = root.join(OsStr::from_bytes(b"odd\xff.lua"));
        std::fs::write(&odd, "").unwrap();
        let found = scripts(&root).unwrap();
        let names = |paths: &[PathBuf]| -> Vec<String> {
            paths.iter().map(|path| path.strip_prefix(&root).unwrap().display().to_string()).collect()
        };
        assert_eq!(names(&found.scripts), ["a.lua", "b.lua", "team/c.lua"]);
        let modules: Vec<PathBuf> = found.modules().cloned().collect();
        assert_eq!(names(&modules), ["a_test.lua", "lib/x.lua", "team/lib/z.lua", "tests/y.lua"]);
        assert_eq!(found.folders.len(), 5);
        let left = found.left_out.iter().find(|left| left.path == odd).unwrap();
        assert!(left.why.contains("not UTF-8"), "{}", left.why);
    }

    #[test]
    fn a_link_to_a_folder_that_is_gone_is_an_error_and_a_folder_that_never_was_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(scripts(&folder.path().join("scripts")).unwrap(), FoundScripts::default());
        std::os::unix::fs::symlink("gone", folder.path().join("scripts")).unwrap();
        scripts(&folder.path().join("scripts")).unwrap_err();
    }

    #[test]
    fn a_folder_that_is_linked_into_itself_has_an_end() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.lua"), "").unwrap();
        std::os::unix::fs::symlink(folder.path(), folder.path().join("again")).unwrap();
        assert_eq!(scripts(folder.path()).unwrap().scripts, [folder.path().join("a.lua")]);
    }
}
