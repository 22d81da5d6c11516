//! Which files are scripts: those under `scripts/`, but for the library, the tests and what editors leave behind.

use std::io;
use std::path::{Path, PathBuf};

/// Folders directly under `scripts/` that hold no scripts of their own.
const NOT_SCRIPTS: [&str; 2] = ["lib", "tests"];

/// How deep scripts are looked for: a folder that is linked into itself has an end.
const DEPTH: usize = 8;

/// What is there.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The scripts, in the order of their paths.
    pub(super) scripts: Vec<PathBuf>,
    /// The folders that were looked into.
    pub(super) folders: Vec<PathBuf>,
}

/// The scripts in `scripts`. A folder that is not there has none.
///
/// # Errors
///
/// A folder that is there and cannot be read; its scripts may be there all the same.
pub(super) fn scripts(scripts: &Path) -> io::Result<Found> {
    let mut found = Found::default();
    let top = |name: &str| !NOT_SCRIPTS.contains(&name);
    look(scripts, DEPTH, &top, &mut found)?;
    found.scripts.sort();
    Ok(found)
}

fn look(folder: &Path, depth: usize, wanted: &dyn Fn(&str) -> bool, found: &mut Found) -> io::Result<()> {
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
            let any = |name: &str| name != "lib";
            if depth > 0 && wanted(name) {
                look(&path, depth - 1, &any, found)?;
            }
        } else if metadata.is_file() && name.ends_with(".lua") && !name.ends_with("_test.lua") {
            found.scripts.push(path);
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
        std::os::unix::fs::symlink(&root, root.join("team/again")).unwrap();
        std::os::unix::fs::symlink("nowhere.lua", root.join("dangling.lua")).unwrap();
        let found = scripts(&root).unwrap();
        let names: Vec<_> =
            found.scripts.iter().map(|path| path.strip_prefix(&root).unwrap().to_str().unwrap()).collect();
        assert_eq!(names[..2], ["a.lua", "b.lua"]);
        assert!(names.contains(&"team/c.lua"), "{names:?}");
        assert!(
            names
                .iter()
                .all(|name| name.ends_with("a.lua") || name.ends_with("b.lua") || name.ends_with("c.lua")),
            "{names:?}"
        );
    }
}
