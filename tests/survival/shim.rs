//! A disk that fails on demand, and a clock that is set back: a few lines of C that the program loads before its own
//! library, built once for all tests.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/survival/faults.c");

/// Where the library is; built at the first call.
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

/// What the disk does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fault {
    /// At which of the writes, truncations and syncs of the ledger's files, from 1.
    pub(super) at: u64,
    pub(super) errno: rustix::io::Errno,
    /// Whether all that come after it fail too.
    pub(super) for_good: bool,
    /// Whether the files cannot be opened to be written either.
    pub(super) opening: bool,
}

impl Fault {
    /// Makes it happen to a command. Whether it did is shown by the file `told`.
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

/// For a command the wall clock is an hour behind while there is a file `set_back`.
pub(super) fn clock(command: &mut Command, set_back: &Path) {
    command.env("LD_PRELOAD", library()).env("FAULT_CLOCK", set_back);
}

/// For a command the wall clock is wrong by so many seconds.
pub(crate) fn clock_apart(command: &mut Command, seconds: i64) {
    command.env("LD_PRELOAD", library()).env("FAULT_CLOCK", "/").env("FAULT_SECONDS", seconds.to_string());
}
