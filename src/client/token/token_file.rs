//! Stores the token on disk for the processes of one project, in a file that only its owner can read.
//!
//! The files have a few hundred bytes and are used once in a token's lifetime, so blocking reads and writes are
//! acceptable. No error here fails a call: without the file, a token is fetched.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustix::fs::OFlags;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::clock::Clock;

use super::saved::SavedToken;

/// How often to retry a lock that another process holds.
const LOCK_POLL: Duration = Duration::from_millis(50);
/// How long to wait for the other process: as long as its fetch can take with the default timeouts.
const LOCK_PATIENCE: Duration = Duration::from_mins(1);
/// A longer file is not a token file.
const FILE_BYTES: u64 = 64 * 1024;

/// The file of an app's token, and its lock.
pub(super) struct TokenFile {
    directory: PathBuf,
    token: PathBuf,
    lock: PathBuf,
}

impl TokenFile {
    /// The file in `directory` for the token of the app `key` and the client `id`.
    pub(super) fn new(directory: &Path, key: &str, id: &str) -> Self {
        let digest = Sha256::new().chain_update(key).chain_update([0]).chain_update(id).finalize();
        let name = URL_SAFE_NO_PAD.encode(&digest[..18]);
        Self {
            directory: directory.to_owned(),
            token: directory.join(format!("token-{name}.json")),
            lock: directory.join(format!("token-{name}.lock")),
        }
    }

    /// The stored token, which may have expired; `None` if there is none or it cannot be read.
    pub(super) fn load(&self) -> Option<SavedToken> {
        match self.read() {
            Ok(stored) => Some(stored),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(file = %self.token.display(), %error, "the stored token is ignored");
                None
            }
        }
    }

    fn read(&self) -> io::Result<SavedToken> {
        let file = OpenOptions::new().read(true).custom_flags(no_follow()).open(&self.token)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.mode() & 0o777 != 0o600 {
            return Err(io::Error::other(
                "users other than its owner could read or change it (its mode is not 0600)",
            ));
        }
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            return Err(io::Error::other("it belongs to another user"));
        }
        let mut text = Zeroizing::new(String::new());
        file.take(FILE_BYTES).read_to_string(&mut text)?;
        // The reason is left out, because it would quote the file.
        serde_json::from_str(&text).map_err(|_| io::Error::other("it is not a token file"))
    }

    /// Replaces the stored token atomically.
    pub(super) fn save(&self, token: &SavedToken) {
        if let Err(error) = self.write(token) {
            tracing::warn!(file = %self.token.display(), %error, "the token could not be stored");
        }
    }

    fn write(&self, token: &SavedToken) -> io::Result<()> {
        self.make_directory()?;
        let text = Zeroizing::new(serde_json::to_vec(token)?);
        // The file is created with mode 0600, not changed to it later.
        let mut file = tempfile::Builder::new().prefix(".token-").tempfile_in(&self.directory)?;
        file.write_all(&text)?;
        file.persist(&self.token)?;
        Ok(())
    }

    /// Waits for the lock among the processes; `None` if it cannot be had. The token is fetched without it then.
    pub(super) async fn lock(&self, clock: &Clock) -> Option<File> {
        let opened = self.make_directory().and_then(|()| {
            let mut options = OpenOptions::new();
            options.create(true).truncate(false).write(true).mode(0o600).custom_flags(no_follow());
            options.open(&self.lock)
        });
        let file = opened.map_err(|error| self.no_lock(&error)).ok()?;
        let patience = clock.now() + LOCK_PATIENCE;
        loop {
            match file.try_lock() {
                Ok(()) => return Some(file),
                Err(TryLockError::WouldBlock) if clock.now() < patience => clock.sleep(LOCK_POLL).await,
                Err(error) => {
                    self.no_lock(&error.into());
                    return None;
                }
            }
        }
    }

    fn no_lock(&self, error: &io::Error) {
        tracing::warn!(file = %self.lock.display(), %error, "the token is fetched without the lock");
    }

    fn make_directory(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)
    }
}

/// The flag that makes `open` refuse a symbolic link.
fn no_follow() -> i32 {
    OFlags::NOFOLLOW.bits().cast_signed()
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use secrecy::ExposeSecret;

    use super::*;

    fn token() -> SavedToken {
        SavedToken {
            token: "tok".to_owned().into(),
            renew_unix: Some(16),
            ends_unix: Some(17),
            replaced_unix: None,
        }
    }

    fn store(directory: &Path) -> TokenFile {
        TokenFile::new(directory, "http://service/org/app", "id")
    }

    #[test]
    fn a_token_comes_back_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let store = store(&directory.path().join("deep"));
        assert!(store.load().is_none());
        store.save(&token());
        let mode = std::fs::metadata(&store.token).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
        let stored = store.load().unwrap();
        assert_eq!(
            (stored.token.expose_secret(), stored.renew_unix, stored.ends_unix),
            ("tok", Some(16), Some(17))
        );
        let names: Vec<_> = std::fs::read_dir(&store.directory).unwrap().collect();
        assert_eq!(names.len(), 1, "{names:?}");
    }

    #[test]
    fn apps_and_clients_do_not_share_a_file() {
        let path = |key, id| TokenFile::new(Path::new("/x"), key, id).token;
        assert_ne!(path("a", "bc"), path("ab", "c"));
        assert_ne!(path("a", "b"), path("a", "c"));
    }

    #[test]
    fn a_file_that_others_can_read_is_ignored() {
        let directory = tempfile::tempdir().unwrap();
        let store = store(directory.path());
        store.save(&token());
        for mode in [0o640, 0o604, 0o400, 0o700] {
            std::fs::set_permissions(&store.token, Permissions::from_mode(mode)).unwrap();
            assert!(store.load().is_none(), "{mode:o}");
        }
    }

    #[test]
    fn a_link_or_a_broken_file_is_ignored() {
        let directory = tempfile::tempdir().unwrap();
        let store = store(directory.path());
        store.save(&token());
        let elsewhere = directory.path().join("elsewhere");
        std::fs::rename(&store.token, &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &store.token).unwrap();
        assert!(store.load().is_none());
        std::fs::remove_file(&store.token).unwrap();
        std::fs::write(&elsewhere, b"{\"token\":").unwrap();
        std::fs::rename(&elsewhere, &store.token).unwrap();
        assert!(store.load().is_none());
    }

    #[test]
    fn a_lock_that_is_held_is_waited_for_but_not_for_ever() {
        let directory = tempfile::tempdir().unwrap();
        let store = store(directory.path());
        let clock = Clock::simulated(Duration::ZERO);
        let (first, second) = clock
            .block_on(async {
                let first = store.lock(&clock).await;
                (first.is_some(), store.lock(&clock).await.is_some())
            })
            .unwrap();
        assert_eq!((first, second), (true, false));
        assert!(clock.now().since_start() >= LOCK_PATIENCE);
    }
}
