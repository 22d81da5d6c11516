//! What a file says of itself: the size of an image, the length of a sound, both of a video.
//!
//! Everything is a best effort. A file that is not understood has no width, height or duration, and is sent all the
//! same. AVI and `WebM` are not understood.
//!
//! May import: nothing of the house.

mod amr;
mod mp4;

use std::io::{BufReader, Read, Seek, SeekFrom};
use std::time::Duration;

use lofty::config::ParseOptions;
use lofty::file::AudioFile;
use lofty::probe::Probe;

/// What is known of a file's contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Media {
    /// In pixels, as stored (before any rotation).
    pub width: Option<u32>,
    /// In pixels, as stored.
    pub height: Option<u32>,
    /// How long it plays; never zero.
    pub duration: Option<Duration>,
}

/// Looks into a file, whatever its name. Blocks.
pub fn probe(reader: impl Read + Seek) -> Media {
    let mut reader = BufReader::new(reader);
    let mut attempts: [fn(&mut _) -> Option<Media>; 4] = [amr::probe, mp4::probe, image, sound];
    for attempt in &mut attempts {
        if reader.seek(SeekFrom::Start(0)).is_err() {
            break;
        }
        if let Some(media) = attempt(&mut reader).filter(|media| *media != Media::default()) {
            return media;
        }
    }
    Media::default()
}

fn image<R: Read + Seek>(reader: &mut BufReader<R>) -> Option<Media> {
    let size = imagesize::reader_size(reader).ok()?;
    let (width, height) = (u32::try_from(size.width).ok()?, u32::try_from(size.height).ok()?);
    Some(Media { width: Some(width), height: Some(height), duration: None })
}

fn sound<R: Read + Seek>(reader: &mut BufReader<R>) -> Option<Media> {
    let options = ParseOptions::new().read_tags(false).read_cover_art(false);
    let file = Probe::new(reader).options(options).guess_file_type().ok()?.read().ok()?;
    let duration = file.properties().duration();
    Some(Media { duration: (!duration.is_zero()).then_some(duration), ..Media::default() })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_image_has_a_size() {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        png.extend_from_slice(&640_u32.to_be_bytes());
        png.extend_from_slice(&480_u32.to_be_bytes());
        png.extend_from_slice(&[8, 2, 0, 0, 0, 0, 0, 0, 0]);
        let media = probe(Cursor::new(png));
        assert_eq!(media, Media { width: Some(640), height: Some(480), duration: None });
        let gif = probe(Cursor::new(b"GIF89a\x03\0\x05\0\0\0\0".to_vec()));
        assert_eq!((gif.width, gif.height), (Some(3), Some(5)));
    }

    #[test]
    fn a_sound_has_a_length() {
        // 8,000 samples a second, one byte each, 12,000 of them.
        let mut wav = b"RIFF\x04\x2f\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
        for field in [8000_u32, 8000] {
            wav.extend_from_slice(&field.to_le_bytes());
        }
        wav.extend_from_slice(b"\x01\0\x08\0data");
        wav.extend_from_slice(&12_000_u32.to_le_bytes());
        wav.resize(wav.len() + 12_000, 128);
        assert_eq!(probe(Cursor::new(wav)).duration, Some(Duration::from_millis(1500)));
    }

    #[test]
    fn what_is_not_understood_is_unknown() {
        for bytes in [&b""[..], b"hello", b"RIFF\0\0\0\0AVI LIST", b"\x1a\x45\xdf\xa3", b"%PDF-1.7"] {
            assert_eq!(probe(Cursor::new(bytes)), Media::default());
        }
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(head in prop::sample::select(vec![
            &b""[..], b"#!AMR\n", b"\0\0\0\x08ftyp", b"\x89PNG\r\n\x1a\n", b"ID3\x04\0\0", b"RIFF", b"OggS", b"fLaC",
        ]), tail in prop::collection::vec(any::<u8>(), 0..300)) {
            probe(Cursor::new([head, &tail].concat()));
        }
    }
}
