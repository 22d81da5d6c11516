//! A folder with files that scripts may reach, and files that must stay unchanged.

use std::fs;
use std::os::unix::fs::symlink;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

use crate::config::{Permissions, Project};
use crate::protocol::{FailureKind, RequestFailure};

use super::super::disk::Disk;

pub(super) const SECRET: &str = "SECRET";

/// The files that must be unchanged after any attack.
pub(super) const GUARDED: [&str; 10] = [
    "outside.txt",
    "project/mooncast.toml",
    "project/.mooncast/token",
    "project/.git/config",
    "project/.env",
    "project/.env.local",
    "project/credentials.json",
    "project/scripts/hello.lua",
    "project/stdlib/iter.lua",
    "readonly/sub/.env",
];

pub(super) struct Tree {
    pub(super) folder: TempDir,
    pub(super) disk: Disk,
}

impl Tree {
    pub(super) fn new() -> Self {
        // On a memory file system if there is one, because the tests create hundreds of these.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let at = |path: &str| folder.path().join(path);
        for made in ["project/data/sub", "project/scripts", "project/stdlib", "readonly/sub", "writable"] {
            fs::create_dir_all(at(made)).unwrap();
        }
        for guarded in GUARDED {
            fs::create_dir_all(at(guarded).parent().unwrap()).unwrap();
            fs::write(at(guarded), SECRET).unwrap();
        }
        for plain in
            ["project/data/a.csv", "readonly/r.txt", "writable/w.txt", "single.txt", "single.txt.bak"]
        {
            fs::write(at(plain), "plain").unwrap();
        }
        for (to, link) in [
            (".mooncast/token", "token-link"),
            (".mooncast", "state-link"),
            ("../.mooncast/token", "data/token-link"),
            ("scripts", "scripts-link"),
            ("..", "out"),
            ("../outside.txt", "out-file"),
            ("/etc/passwd", "absolute"),
            ("/proc/self", "process"),
            ("loop", "loop"),
            ("nowhere", "dangling"),
            (".env.new", "dangling-env"),
            ("data", "inner"),
            ("../readonly/r.txt", "to-granted"),
        ] {
            symlink(to, at("project").join(link)).unwrap();
        }
        symlink("../outside.txt", at("readonly/back")).unwrap();
        for (to, link) in [
            ("project/.mooncast/token", "hard-token"),
            ("project/mooncast.toml", "hard-settings"),
            ("project/.git/config", "hard-git"),
            ("project/.env", "hard-env"),
            ("project/credentials.json", "data/hard-credentials"),
            ("project/scripts/hello.lua", "hard-script"),
        ] {
            fs::hard_link(at(to), at("project").join(link)).unwrap();
        }
        mknodat(CWD, at("project/pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        let project = Project::at(&at("project")).unwrap();
        let permissions = Permissions {
            read: vec!["../readonly".into(), at("single.txt")],
            write: vec![".".into(), at("writable"), at("later/report.csv")],
            ..Permissions::default()
        };
        let disk = Disk::open(&project, &permissions, &[at("project/credentials.json")], None, &[]).unwrap();
        Self { folder, disk }
    }

    pub(super) fn at(&self, path: &str) -> String {
        self.folder.path().join(path).to_str().unwrap().to_owned()
    }

    pub(super) fn guarded_is_whole(&self) {
        for guarded in GUARDED {
            assert_eq!(fs::read_to_string(self.at(guarded)).unwrap(), SECRET, "{guarded}");
        }
    }
}

pub(super) fn kind<T>(result: Result<T, RequestFailure>) -> FailureKind {
    match result {
        Ok(_) => panic!("it was allowed"),
        Err(failure) => {
            assert!(!failure.message.contains(SECRET), "{}", failure.message);
            failure.kind
        }
    }
}
