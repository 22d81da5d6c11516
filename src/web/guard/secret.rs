//! The key that sessions are signed with: in a file of this machine's own, never in the ledger: sessions outlive a restart, and who
//! has read the ledger alone (a copy of it, say) cannot make one.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Its file.
const NAME: &str = "session.key";

/// The key, made where there is none yet.
pub(super) fn key(folder: &Path) -> io::Result<[u8; 32]> {
    let path = folder.join(NAME);
    match fs::read(&path) {
        // One that was cut short is no key.
        Ok(kept) => {
            if let Ok(key) = kept.try_into() {
                return Ok(key);
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    // Where the ledger is elsewhere, nobody may have needed it yet.
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let key: [u8; 32] = rand::random();
    let new = folder.join(format!("{NAME}.{}", std::process::id()));
    // What a process of that number has left.
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
