//! The seal: a line after the bytes of a backup's database. It contains the time of the backup and a hash of
//! everything before it, so that a truncated or changed file is detected before anything is restored from it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::BackupError;

/// The start of the line, with the version of the format in its last digit.
const MARK: &str = "\nmooncast backup ";
const VERSION: &str = "1";
/// The number of digits of the backup's time.
const DIGITS: usize = 16;
/// The length of the line in bytes: mark, version, space, time, space, hash, line feed.
const LENGTH: usize = MARK.len() + VERSION.len() + 1 + DIGITS + 1 + 64 + 1;
/// How many bytes are read at once.
const BLOCK: usize = 1 << 20;

/// Writes the seal at the end of a file. `taken_at` is in milliseconds since 1970.
pub(super) fn write(file: &mut File, taken_at: i64) -> std::io::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    let mut hash = Sha256::new();
    let mut block = vec![0; BLOCK];
    loop {
        match file.read(&mut block)? {
            0 => break,
            read => hash.update(&block[..read]),
        }
    }
    file.seek(SeekFrom::End(0))?;
    file.write_all(line(taken_at, hash).as_bytes())
}

fn line(taken_at: i64, mut hash: Sha256) -> String {
    let time = format!("{taken_at:0DIGITS$}");
    hash.update(time.as_bytes());
    format!("{MARK}{VERSION} {time} {}\n", data_encoding::HEXLOWER.encode(&hash.finalize()))
}

/// Copies the database of a backup to `to`; returns when the backup was taken, in milliseconds since 1970. After an
/// error the content of `to` is unusable.
pub(super) fn unpack(path: &Path, to: &mut File, to_path: &Path) -> Result<i64, BackupError> {
    let mut from = File::open(path).map_err(BackupError::of_file(path))?;
    let length = from.metadata().map_err(BackupError::of_file(path))?.len();
    let no_backup = || BackupError::NoBackup(path.to_owned());
    let content = length.checked_sub(LENGTH as u64).ok_or_else(no_backup)?;
    from.seek(SeekFrom::Start(content)).map_err(BackupError::of_file(path))?;
    let mut found = vec![0; LENGTH];
    from.read_exact(&mut found).map_err(BackupError::of_file(path))?;
    let found = String::from_utf8(found).map_err(|_| no_backup())?;
    let words: Vec<&str> = found.strip_prefix(MARK).ok_or_else(no_backup)?.split_whitespace().collect();
    let [version, time, _] = words.as_slice() else { return Err(no_backup()) };
    if *version != VERSION {
        return Err(no_backup());
    }
    let taken_at: i64 = time.parse().map_err(|_| no_backup())?;
    from.seek(SeekFrom::Start(0)).map_err(BackupError::of_file(path))?;
    let mut from = from.take(content);
    let mut hash = Sha256::new();
    let mut block = vec![0; BLOCK];
    loop {
        let read = from.read(&mut block).map_err(BackupError::of_file(path))?;
        if read == 0 {
            break;
        }
        hash.update(&block[..read]);
        to.write_all(&block[..read]).map_err(BackupError::of_file(to_path))?;
    }
    if line(taken_at, hash) != found {
        let detail = "its content does not match the hash that was written with it".to_owned();
        return Err(BackupError::Damaged { path: path.to_owned(), detail });
    }
    Ok(taken_at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sealed(content: &[u8], folder: &Path) -> std::path::PathBuf {
        let path = folder.join("backup");
        let mut file =
            File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
        file.write_all(content).unwrap();
        write(&mut file, 1_700_000_000_123).unwrap();
        path
    }

    fn unpacked(path: &Path, folder: &Path) -> Result<(i64, Vec<u8>), BackupError> {
        let to = folder.join("unpacked");
        let mut file = File::create(&to).unwrap();
        let taken_at = unpack(path, &mut file, &to)?;
        Ok((taken_at, std::fs::read(&to).unwrap()))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_backup_comes_back_byte_for_byte_and_any_change_is_found(
            content in proptest::collection::vec(any::<u8>(), 0..4000),
            index in any::<prop::sample::Index>(),
            bit in 0..8_u8,
            cut in any::<prop::sample::Index>(),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = sealed(&content, folder.path());
            prop_assert_eq!(unpacked(&path, folder.path()).unwrap(), (1_700_000_000_123, content));
            let whole = std::fs::read(&path).unwrap();
            let mut changed = whole.clone();
            changed[index.index(whole.len())] ^= 1 << bit;
            std::fs::write(&path, changed).unwrap();
            prop_assert!(unpacked(&path, folder.path()).is_err());
            std::fs::write(&path, &whole[..cut.index(whole.len())]).unwrap();
            prop_assert!(unpacked(&path, folder.path()).is_err());
        }
    }
}
