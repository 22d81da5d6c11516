//! Which files are scripts: those under `scripts/`, but for the library, the tests and what editors leave behind.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How deep scripts are looked for.
const DEPTH: usize = 16;

/// What is there.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The scripts, in the order of their paths.
    pub(super) scripts: Vec<PathBuf>,
    /// The other files of Lua, which scripts may require.
    pub(super) modules: Vec<PathBuf>,
    /// The folders that were looked into.
    pub(super) folders: Vec<PathBuf>,
}

/// What is in `scripts`. A folder that is not there has nothing in it.
///
/// # Errors
///
/// A folder that is there and cannot be read; its scripts may be there all the same.
pub(super) fn scripts(scripts: &Path) -> io::Result<Found> {
    let mut found = Found::default();
    let mut above = std::fs::metadata(scripts).map(|top| vec![(top.dev(), top.ino())]).unwrap_or_default();
    look(scripts, Place::Top, &mut above, &mut found)?;
    found.scripts.sort();
    found.modules.sort();
    Ok(found)
}

/// Where a folder is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Top,
    Below,
    Library,
}

fn look(folder: &Path, place: Place, above: &mut Vec<(u64, u64)>, found: &mut Found) -> io::Result<()> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    found.folders.push(folder.to_owned());
    for entry in entries {
        let path = entry?.path();
        // A name that is no text is none that `require` or a command line could say.
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if name.starts_with('.') {
            continue;
        }
        // Links are followed; one that leads nowhere is no script.
        let Ok(metadata) = std::fs::metadata(&path) else { continue };
        if metadata.is_dir() {
            let id = (metadata.dev(), metadata.ino());
            if above.contains(&id) || above.len() > DEPTH {
                continue;
            }
            above.push(id);
            let library =
                place == Place::Library || name == "lib" || (place == Place::Top && name == "tests");
            look(&path, if library { Place::Library } else { Place::Below }, above, found)?;
            above.pop();
        } else if metadata.is_file() && path.extension().is_some_and(|extension| extension == "lua") {
            let module = place == Place::Library || name.ends_with("_test.lua");
            if module { &mut found.modules } else { &mut found.scripts }.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_tests_and_hidden_files_are_no_scripts() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("scripts");
        assert_eq!(scripts(&root).unwrap(), Found::default());
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
        let found = scripts(&root).unwrap();
        let names = |paths: &[PathBuf]| -> Vec<String> {
            paths.iter().map(|path| path.strip_prefix(&root).unwrap().display().to_string()).collect()
        };
        assert_eq!(names(&found.scripts), ["a.lua", "b.lua", "team/c.lua"]);
        assert_eq!(names(&found.modules), ["a_test.lua", "lib/x.lua", "team/lib/z.lua", "tests/y.lua"]);
        assert_eq!(found.folders.len(), 5);
    }

    #[test]
    fn a_folder_that_is_linked_into_itself_has_an_end() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.lua"), "").unwrap();
        std::os::unix::fs::symlink(folder.path(), folder.path().join("again")).unwrap();
        assert_eq!(scripts(folder.path()).unwrap().scripts, [folder.path().join("a.lua")]);
    }
}
