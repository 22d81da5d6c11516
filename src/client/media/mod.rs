//! Reads the properties of a media file: the size of an image, the duration of a sound, and both of a video.
//!
//! Only the file's content counts, not its name. Where headers are unreliable, the length is counted. A file in an
//! unknown format has no width, height or duration.

mod amr;
mod boxes;
mod frames;
mod mp4;
mod picture;
mod sound;
mod wav;

use std::io::{BufReader, Read, Seek, SeekFrom};
use std::time::Duration;

/// The kind of a file's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MediaKind {
    /// The file has no bytes.
    Empty,
    Image,
    /// Audio without video.
    Sound,
    /// Video, with or without audio.
    Video,
    /// Audio or video in a format that is not read.
    SoundOrVideo,
    /// Any other content.
    #[default]
    Other,
}

impl MediaKind {
    /// The kind's name in a message's `body.file`; `None` if the kind is not known.
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::Image => Some("image"),
            Self::Sound => Some("audio"),
            Self::Video => Some("video"),
            Self::Empty | Self::Other => Some("other"),
            Self::SoundOrVideo => None,
        }
    }

    /// The kind in words, for display.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Empty => "nothing",
            Self::Image => "an image",
            Self::Sound => "a sound",
            Self::Video => "a video",
            Self::SoundOrVideo => "a sound or a video",
            Self::Other => "none that is recognised",
        }
    }
}

/// The known properties of a file's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MediaInfo {
    pub content: MediaKind,
    /// The width in pixels as displayed, after the rotation that the file specifies; `None` if unknown.
    pub width: Option<u32>,
    /// The height in pixels as displayed; `None` if unknown.
    pub height: Option<u32>,
    /// The playing time, never zero; `None` if unknown.
    pub duration: Option<Duration>,
}

impl MediaInfo {
    const fn of(content: MediaKind) -> Self {
        Self { content, width: None, height: None, duration: None }
    }
}

/// Reads the properties of a file's content. Blocks.
pub fn probe(reader: impl Read + Seek + Send + Sync) -> MediaInfo {
    let mut reader = BufReader::new(reader);
    let mut start = Vec::new();
    if reader.by_ref().take(16).read_to_end(&mut start).is_err() {
        return MediaInfo::default();
    }
    if start.is_empty() {
        return MediaInfo::of(MediaKind::Empty);
    }
    let mut attempts: [fn(&mut _) -> Option<MediaInfo>; 6] =
        [amr::probe, wav::probe, picture::probe, mp4::probe, frames::probe, sound::by_header];
    for attempt in &mut attempts {
        if reader.seek(SeekFrom::Start(0)).is_err() {
            return MediaInfo::default();
        }
        if let Some(media) = attempt(&mut reader).filter(|media| media.content != MediaKind::Other) {
            return media;
        }
    }
    // The packet-counting library gets only files that may be in one of its formats.
    let counted = match start.as_slice() {
        [0x1a, 0x45, 0xdf, 0xa3, ..] | [b'f', b'L', b'a', b'C', ..] | [b'O', b'g', b'g', b'S', ..] => {
            sound::by_packets(reader)
        }
        [b'c', b'a', b'f', b'f', ..] | [b'F', b'O', b'R', b'M', ..] => sound::by_packets(reader),
        _ => None,
    };
    counted.unwrap_or_else(|| MediaInfo::of(unread(&start)))
}

/// The kind of a file whose format is not read, by its first bytes.
fn unread(start: &[u8]) -> MediaKind {
    match start {
        [b'R', b'I', b'F', b'F', _, _, _, _, b'A', b'V', b'I', b' ', ..]
        | [b'F', b'L', b'V', 1, ..]
        | [0, 0, 1, 0xba | 0xb3, ..]
        | [0x1a, 0x45, 0xdf, 0xa3, ..] => MediaKind::Video,
        [0x30, 0x26, 0xb2, 0x75, 0x8e, 0x66, 0xcf, 0x11, ..] | [b'.', b'R', b'M', b'F', ..] => {
            MediaKind::SoundOrVideo
        }
        [b'M', b'T', b'h', b'd', ..]
        | [b'O', b'g', b'g', b'S', ..]
        | [b'f', b'L', b'a', b'C', ..]
        | [b'c', b'a', b'f', b'f', ..] => MediaKind::Sound,
        _ => MediaKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn sized(width: u32, height: u32) -> MediaInfo {
        MediaInfo { content: MediaKind::Image, width: Some(width), height: Some(height), duration: None }
    }

    fn tiff(orientation: u16, little: bool) -> Vec<u8> {
        let short = |value: u16| if little { value.to_le_bytes() } else { value.to_be_bytes() };
        let long = |value: u32| if little { value.to_le_bytes() } else { value.to_be_bytes() };
        let entry =
            |tag: u16, value: u16| [&short(tag)[..], &short(3), &long(1), &short(value), &[0, 0]].concat();
        let mark: &[u8] = if little { b"II" } else { b"MM" };
        let entries = [entry(0x100, 400), entry(0x101, 300), entry(0x112, orientation)].concat();
        [mark, &short(42), &long(8), &short(3), &entries, &long(0)].concat()
    }

    fn jpeg(orientation: u16, little: bool) -> Vec<u8> {
        let exif = [b"Exif\0\0".as_slice(), &tiff(orientation, little)].concat();
        let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
        let frame = [8, 1, 44, 1, 144, 1, 1, 0x11, 0];
        [&[0xff, 0xd8, 0xff, 0xe1], &length[..], &exif, &[0xff, 0xc0, 0, 11], &frame, &[0xff, 0xd9]].concat()
    }

    fn png(orientation: u16) -> Vec<u8> {
        let chunk = |kind: &[u8; 4], contents: &[u8]| {
            let length = u32::try_from(contents.len()).unwrap().to_be_bytes();
            [&length[..], kind, contents, &[0; 4]].concat()
        };
        let head = [&400_u32.to_be_bytes()[..], &300_u32.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
        [
            b"\x89PNG\r\n\x1a\n".to_vec(),
            chunk(b"IHDR", &head),
            chunk(b"IDAT", &[0; 9]),
            chunk(b"eXIf", &tiff(orientation, false)),
            chunk(b"IEND", &[]),
        ]
        .concat()
    }

    fn webp(orientation: u16) -> Vec<u8> {
        let chunk = |kind: &[u8; 4], contents: &[u8]| {
            let length = u32::try_from(contents.len()).unwrap().to_le_bytes();
            let fill = vec![0; contents.len() % 2];
            [kind.as_slice(), &length, contents, &fill].concat()
        };
        let canvas = [&[8, 0, 0, 0], &399_u32.to_le_bytes()[..3], &299_u32.to_le_bytes()[..3]].concat();
        let chunks = [chunk(b"VP8X", &canvas), chunk(b"EXIF", &tiff(orientation, true))].concat();
        let length = u32::try_from(chunks.len() + 4).unwrap().to_le_bytes();
        [b"RIFF".as_slice(), &length, b"WEBP", &chunks].concat()
    }

    fn boxed(kind: [u8; 4], contents: &[u8]) -> Vec<u8> {
        let size = u32::try_from(contents.len() + 8).unwrap();
        [&size.to_be_bytes(), &kind[..], contents].concat()
    }

    fn heif(brand: [u8; 4], turns: Option<u8>) -> Vec<u8> {
        let size = [&[0; 4][..], &400_u32.to_be_bytes(), &300_u32.to_be_bytes()].concat();
        let turn = turns.map(|turns| boxed(*b"irot", &[turns])).unwrap_or_default();
        let properties = boxed(*b"iprp", &boxed(*b"ipco", &[boxed(*b"ispe", &size), turn].concat()));
        let meta = boxed(*b"meta", &[&[0; 4], properties.as_slice()].concat());
        [boxed(*b"ftyp", &[brand.as_slice(), &[0; 4], b"mif1"].concat()), meta].concat()
    }

    #[test]
    fn an_image_has_the_size_that_it_is_shown_with() {
        for orientation in 1..=8 {
            let size = if orientation >= 5 { sized(300, 400) } else { sized(400, 300) };
            for (name, file) in [
                ("jpeg", jpeg(orientation, true)),
                ("jpeg, big-endian", jpeg(orientation, false)),
                ("png", png(orientation)),
                ("webp", webp(orientation)),
                ("tiff", tiff(orientation, true)),
                ("tiff, big-endian", tiff(orientation, false)),
            ] {
                assert_eq!(probe(Cursor::new(file)), size, "{name} {orientation}");
            }
        }
        for brand in [b"heic", b"avif", b"mif1"] {
            for (turns, size) in [
                (None, sized(400, 300)),
                (Some(0), sized(400, 300)),
                (Some(1), sized(300, 400)),
                (Some(2), sized(400, 300)),
                (Some(3), sized(300, 400)),
            ] {
                assert_eq!(probe(Cursor::new(heif(*brand, turns))), size, "{brand:?} {turns:?}");
            }
        }
        let gif = probe(Cursor::new(b"GIF89a\x03\0\x05\0\0\0\0".to_vec()));
        assert_eq!(gif, sized(3, 5));
    }

    #[test]
    fn a_drawing_is_an_image_of_no_size() {
        for text in ["<svg/>", "\u{feff}<?xml version='1.0'?>\n<svg xmlns='x'/>"] {
            assert_eq!(probe(Cursor::new(text)), MediaInfo::of(MediaKind::Image));
        }
    }

    #[test]
    fn what_is_not_understood_is_other() {
        for bytes in [&b"hello"[..], b"%PDF-1.7", b"PK\x03\x04", b"<html>", b"\xff"] {
            assert_eq!(probe(Cursor::new(bytes)), MediaInfo::default());
        }
        assert_eq!(probe(Cursor::new(b"")), MediaInfo::of(MediaKind::Empty));
        assert_eq!(probe(Cursor::new(b"RIFF\0\0\0\0AVI LIST")), MediaInfo::of(MediaKind::Video));
    }

    fn samples() -> Vec<Vec<u8>> {
        let mp3: Vec<u8> =
            std::iter::repeat_n([vec![0xff, 0xfb, 0x90, 0xc4], vec![0; 413]].concat(), 5).flatten().collect();
        vec![
            jpeg(6, true),
            png(6),
            webp(6),
            tiff(6, true),
            heif(*b"heic", Some(1)),
            mp3,
            b"#!AMR\n\x3c".to_vec(),
            b"OggS\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x13OpusHead\x01\x02\0\0\0\0\0\0\0\0\0"
                .to_vec(),
            [b"fLaC\x80\0\0\x22".as_slice(), &[0x10; 34]].concat(),
            b"\x1a\x45\xdf\xa3\x84\x42\x86\x81\x01\x18\x53\x80\x67\xff".to_vec(),
            boxed(*b"moov", &boxed(*b"trak", &boxed(*b"tkhd", &[0; 84]))),
            [boxed(*b"ftyp", b"isom"), boxed(*b"moof", &boxed(*b"traf", &boxed(*b"tfhd", &[0; 16])))]
                .concat(),
        ]
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(head in prop::sample::select(vec![
            &b""[..], b"#!AMR\n", b"\0\0\0\x08ftyp", b"\x89PNG\r\n\x1a\n", b"ID3\x04\0\0", b"RIFF", b"OggS", b"fLaC",
            b"\x1a\x45\xdf\xa3", b"\xff\xd8\xff\xe1", b"RIFF\0\0\0\0WAVEfmt ", b"RIFF\0\0\0\0WEBP", b"II*\0", b"\xff\xfb",
            b"\xff\xf1", b"FORM\0\0\0\0AIFF", b"caff\0\x01",
        ]), tail in prop::collection::vec(any::<u8>(), 0..300)) {
            probe(Cursor::new([head, &tail].concat()));
        }

        #[test]
        fn no_change_of_a_file_breaks_it(
            which in 0_usize..12,
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
            cut in any::<prop::sample::Index>(),
            is_cut in any::<bool>(),
        ) {
            let mut file = samples().swap_remove(which);
            for (position, byte) in changes {
                let position = position.index(file.len());
                file[position] = byte;
            }
            if is_cut {
                file.truncate(cut.index(file.len()));
            }
            probe(Cursor::new(file));
        }
    }
}
