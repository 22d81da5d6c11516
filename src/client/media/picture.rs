//! Images: their displayed size, which is the stored size after the rotation that the file specifies.

use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};

use exif::{In, Reader, Tag};

use super::boxes::BoxReader;
use super::{MediaInfo, MediaKind};

/// The EXIF orientations that turn a picture by 90 degrees.
const QUARTERS: std::ops::RangeInclusive<u32> = 5..=8;
/// The largest TIFF that is read in full for its orientation, in bytes.
const TIFF_BYTES: u64 = 64 * 1024 * 1024;

/// The size of an image; `None` for another file.
pub(super) fn probe<R: Read + Seek>(reader: &mut BufReader<R>) -> Option<MediaInfo> {
    let Ok(size) = imagesize::reader_size(&mut *reader) else {
        return is_svg(reader).then_some(MediaInfo { content: MediaKind::Image, ..MediaInfo::default() });
    };
    let (width, height) = (u32::try_from(size.width).ok()?, u32::try_from(size.height).ok()?);
    if width == 0 || height == 0 {
        return None;
    }
    let is_turned = is_turned_by_exif(reader).unwrap_or(false);
    let (width, height) = if is_turned { (height, width) } else { (width, height) };
    Some(MediaInfo { content: MediaKind::Image, width: Some(width), height: Some(height), duration: None })
}

/// Whether the EXIF of a JPEG, PNG, `WebP`, TIFF, HEIF or AVIF turns it by 90 degrees. The size of a HEIF already
/// includes its own rotation property (`irot`); its EXIF only repeats that rotation.
fn is_turned_by_exif<R: Read + Seek>(reader: &mut BufReader<R>) -> Option<bool> {
    let end = reader.seek(SeekFrom::End(0)).ok()?;
    if turns_by_itself(reader, end) {
        return Some(false);
    }
    reader.seek(SeekFrom::Start(0)).ok()?;
    let start = reader.fill_buf().ok()?;
    if (start.starts_with(b"II") || start.starts_with(b"MM")) && end > TIFF_BYTES {
        return None;
    }
    let exif = Reader::new().continue_on_error(true).read_from_container(reader);
    let exif = exif.or_else(|error| error.distill_partial_result(|_| ())).ok()?;
    let orientation = exif.get_field(Tag::Orientation, In::PRIMARY)?.value.get_uint(0)?;
    Some(QUARTERS.contains(&orientation))
}

/// Whether a HEIF or AVIF has a rotation property.
fn turns_by_itself<R: Read + Seek>(reader: &mut BufReader<R>, end: u64) -> bool {
    let mut walk = BoxReader::new(reader);
    let Some(meta) =
        walk.next(0, end).filter(|first| first.kind == *b"ftyp").and_then(|_| walk.find(*b"meta", 0, end))
    else {
        return false;
    };
    // The box begins with a version and flags.
    let properties = walk.find(*b"iprp", meta.start + 4, meta.end);
    let container = properties.and_then(|found| walk.find(*b"ipco", found.start, found.end));
    container.is_some_and(|found| walk.find(*b"irot", found.start, found.end).is_some())
}

/// Whether a file is an SVG drawing.
fn is_svg<R: Read + Seek>(reader: &mut BufReader<R>) -> bool {
    let mut start = Vec::new();
    if reader.seek(SeekFrom::Start(0)).is_err() || reader.take(1024).read_to_end(&mut start).is_err() {
        return false;
    }
    let text = String::from_utf8_lossy(&start);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    text.starts_with("<svg") || (text.starts_with("<?xml") || text.starts_with("<!")) && text.contains("<svg")
}
