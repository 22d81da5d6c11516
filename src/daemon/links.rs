//! Resolves the symbolic links of a path, and lists every folder to watch for changes of the file behind it.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// The maximum number of links followed. More count as a loop.
const MOST: usize = 40;

/// The links and folders that a path leads through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct LinkChain {
    /// The links, each by its own path without links.
    pub(super) links: Vec<PathBuf>,
    /// The folders in which a part of the path can be replaced: the folder of each link, and of the final file.
    pub(super) folders: Vec<PathBuf>,
    /// The final file. It may not exist.
    pub(super) end: PathBuf,
}

/// Follows an absolute path, link by link.
pub(super) fn follow(path: &Path) -> LinkChain {
    let mut way = LinkChain::default();
    let mut rest: VecDeque<OsString> = parts(path);
    let mut at = PathBuf::from("/");
    while let Some(part) = rest.pop_front() {
        if part == ".." {
            at.pop();
            continue;
        }
        let next = at.join(&part);
        match std::fs::read_link(&next) {
            Ok(target) if way.links.len() < MOST => {
                if target.is_absolute() {
                    at = PathBuf::from("/");
                }
                way.folders.extend(next.parent().map(Path::to_owned));
                way.links.push(next);
                for part in parts(&target).into_iter().rev() {
                    rest.push_front(part);
                }
            }
            // Not a link, or nothing exists there.
            _ => at = next,
        }
    }
    way.folders.extend(at.parent().map(Path::to_owned));
    way.end = at;
    way
}

fn parts(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn every_link_and_every_folder_on_the_way_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for made in ["scripts", "deploy/v1"] {
            std::fs::create_dir_all(root.join(made)).unwrap();
        }
        std::fs::write(root.join("deploy/v1/a.lua"), "").unwrap();
        symlink("v1", root.join("deploy/current")).unwrap();
        symlink("../deploy/current/a.lua", root.join("scripts/a.lua")).unwrap();
        let way = follow(&root.join("scripts/a.lua"));
        assert_eq!(way.end, root.join("deploy/v1/a.lua"));
        assert_eq!(way.links, [root.join("scripts/a.lua"), root.join("deploy/current")]);
        assert_eq!(way.folders, [root.join("scripts"), root.join("deploy"), root.join("deploy/v1")]);
    }

    #[test]
    fn a_circle_and_a_path_to_nowhere_have_an_end() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        symlink("b", root.join("a")).unwrap();
        symlink("a", root.join("b")).unwrap();
        assert_eq!(follow(&root.join("a")).links.len(), MOST);
        let nowhere = root.join("no/such.lua");
        assert_eq!(
            follow(&nowhere),
            LinkChain { links: vec![], folders: vec![root.join("no")], end: nowhere }
        );
    }
}
