//! A disk that fails on demand, and a clock that is set back: a few lines of C that the program loads before its own
//! library, built once for all tests.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/survival/faults.c");

/// Returns the path of the library, which the first call builds.
fn library() -> &'static Path {
    static BUILT: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, library) = BUILT.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("faults.so");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&library)
            .args([SOURCE, "-ldl"])
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        (folder, library)
    });
    library
}

/// The disk's fault.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fault {
    /// The number of the first failing write, truncation or sync of the ledger's files, from 1.
    pub(super) at: u64,
    pub(super) errno: rustix::io::Errno,
    /// Whether all later ones fail too.
    pub(super) for_good: bool,
    /// Whether opening the files for writing also fails.
    pub(super) opening: bool,
}

impl Fault {
    /// Applies the fault to a command. The file `told` shows whether it happened.
    pub(super) fn on(self, command: &mut Command, told: &Path) {
        command
            .env("LD_PRELOAD", library())
            .env("FAULT_AT", self.at.to_string())
            .env("FAULT_ERRNO", self.errno.raw_os_error().to_string())
            .env("FAULT_TOLD", told);
        if self.for_good {
            command.env("FAULT_ON", "1");
        }
        if self.opening {
            command.env("FAULT_OPEN", "1");
        }
    }
}

/// For a command, the wall clock is an hour behind while the file `set_back` exists.
pub(super) fn clock(command: &mut Command, set_back: &Path) {
    command.env("LD_PRELOAD", library()).env("FAULT_CLOCK", set_back);
}

/// For a command, the wall clock is wrong by this many seconds.
pub(crate) fn clock_apart(command: &mut Command, seconds: i64) {
    command.env("LD_PRELOAD", library()).env("FAULT_CLOCK", "/").env("FAULT_SECONDS", seconds.to_string());
}
