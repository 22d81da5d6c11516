//! Limits what a workbook unpacks to, before any of it is kept in memory.

use std::io::{self, Read, Seek, SeekFrom, Write};

use zip::ZipArchive;

use super::LONGEST;
use super::fault::InputError;

/// The most bytes that a workbook's sheets may unpack to. Sheets are read row by row.
const SHEETS: u64 = 1 << 30;

/// The most bytes that all other files may unpack to. Texts and formats are held in memory.
const TEXTS: u64 = 128 << 20;

/// The most files in the archive.
const FILES: usize = 10_000;

/// Measures the longest text between two tags.
#[derive(Default)]
struct LongestText {
    now: usize,
    longest: usize,
}

impl Write for LongestText {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for part in bytes.split_inclusive(|byte| *byte == b'<') {
            self.now += part.len();
            self.longest = self.longest.max(self.now);
            if part.ends_with(b"<") {
                self.now = 0;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Refuses a file that is not a workbook, or that unpacks to more than the limits.
pub(super) fn check<R: Read + Seek>(source: &mut R) -> Result<(), InputError> {
    let mut head = [0; 4];
    let failed = |error: &io::Error| InputError::whole(format!("it cannot be read: {error}"));
    source
        .read_exact(&mut head)
        .map_err(|_| InputError::whole("it is not an Excel workbook; it is empty or nearly empty"))?;
    match head {
        [b'P', b'K', 3, 4] => {}
        [0xd0, 0xcf, 0x11, 0xe0] => {
            return Err(InputError::whole(
                "it is an old Excel workbook (.xls), or one with a password; save it as .xlsx without a password",
            ));
        }
        _ => {
            return Err(InputError::whole(
                "it is not an Excel workbook, despite its name; if it is text, rename it to end in .csv",
            ));
        }
    }
    source.seek(SeekFrom::Start(0)).map_err(|error| failed(&error))?;
    let damaged =
        |error: &dyn std::fmt::Display| InputError::whole(format!("the workbook is damaged: {error}"));
    let mut archive = ZipArchive::new(&mut *source).map_err(|error| damaged(&error))?;
    if archive.len() > FILES {
        return Err(InputError::whole(format!(
            "the workbook has more than {FILES} parts; save it anew, or as CSV"
        )));
    }
    let (mut sheets, mut texts) = (SHEETS, TEXTS);
    for index in 0..archive.len() {
        let mut part = archive.by_index(index).map_err(|error| damaged(&error))?;
        let is_sheet = part.name().map_err(|error| damaged(&error))?.contains("worksheets/");
        let left = if is_sheet { &mut sheets } else { &mut texts };
        // The sizes that the archive declares are not trusted.
        let mut text = LongestText::default();
        let size = io::copy(&mut (&mut part).take(*left + 1), &mut text).map_err(|error| damaged(&error))?;
        if is_sheet && text.longest > LONGEST {
            return Err(InputError::whole(format!(
                "a cell of the workbook has more than {LONGEST} bytes; save it as CSV"
            )));
        }
        *left = left.checked_sub(size).ok_or_else(|| {
            let (what, most) = if is_sheet { ("sheets", SHEETS) } else { ("texts and formats", TEXTS) };
            InputError::whole(format!(
                "the workbook's {what} unpack to more than {} MiB; save it as CSV",
                most >> 20
            ))
        })?;
    }
    drop(archive);
    source.seek(SeekFrom::Start(0)).map(drop).map_err(|error| failed(&error))
}
