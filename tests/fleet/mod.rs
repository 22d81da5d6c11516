//! Several hosts on one Postgres: one quota for all, whatever fails, and newer versions beside older ones. Without a
//! server (`MOONCAST_TEST_STORE`, which `tests/run` sets) these tests do nothing.
//!
//! Store: server

mod caps;
mod chaos;
mod hosts;
mod network;
mod ramps;
mod rate;
mod token;
mod upgrade;
mod waits;

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::support::store;

/// Whether there is a shared server. Prints a note if there is none.
fn has_server() -> bool {
    let given = store::server().is_some();
    if !given {
        println!("left out: MOONCAST_TEST_STORE names no server");
    }
    given
}

/// A server of one test, which may be killed and whose data is on the disk.
struct Postgres {
    folder: TempDir,
    address: String,
}

impl Postgres {
    fn start() -> Self {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        // If this user is root, the server runs as another user.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let address = Self::command("start", &folder.path().join("server"));
        Self { folder, address: address.trim().to_owned() }
    }

    /// Returns the port on this machine's loopback.
    fn port(&self) -> u16 {
        let place = self.address.rsplit_once(':').unwrap().1;
        place.split('/').next().unwrap().parse().unwrap()
    }

    /// Kills the whole server and starts it again.
    fn restart(&self) {
        Self::command("restart", &self.folder.path().join("server"));
    }

    fn command(word: &str, folder: &Path) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/postgres");
        let output =
            Command::new(script).arg(word).arg(folder).env("MOONCAST_TEST_FSYNC", "on").output().unwrap();
        assert!(output.status.success(), "{word}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        Self::command("stop", &self.folder.path().join("server"));
    }
}
