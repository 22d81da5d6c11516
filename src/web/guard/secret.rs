//! The key that signs sessions. It is in a file of this machine and never in the ledger, so that sessions survive a
//! restart, and a copy of the ledger alone is not enough to forge a session.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

const NAME: &str = "session.key";

/// Reads the key, or creates it if there is none.
pub(super) fn key(folder: &Path) -> io::Result<[u8; 32]> {
    let path = folder.join(NAME);
    match fs::read(&path) {
        // A truncated file is not a valid key.
        Ok(kept) => {
            if let Ok(key) = kept.try_into() {
                return Ok(key);
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    // If the ledger is on another machine, the folder may not exist yet.
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let key: [u8; 32] = rand::random();
    let new = folder.join(format!("{NAME}.{}", std::process::id()));
    // A leftover of an earlier process with this pid.
    let _ = fs::remove_file(&new);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(&key)?;
    file.sync_all()?;
    fs::rename(&new, &path)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_key_is_made_once_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("state");
        let first = key(&folder).unwrap();
        assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(key(&folder).unwrap(), first);
        let path = folder.join(NAME);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, &first[..31]).unwrap();
        assert_ne!(key(&folder).unwrap(), first);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }
}
