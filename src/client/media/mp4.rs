//! MP4 and its relatives (MOV, M4V, M4A, 3GP): the movie header tells the length, a track header the size of the
//! picture (ISO/IEC 14496-12). The audio library below reads only files that have a sound track.

use std::io::{Read, Seek, SeekFrom};
use std::time::Duration;

use super::Media;

/// Boxes looked at before giving up, so that a file of a million empty boxes costs nothing.
const BOXES: usize = 10_000;

/// What the `moov` box says; none for another kind of file.
pub(super) fn probe<R: Read + Seek>(reader: &mut R) -> Option<Media> {
    let end = reader.seek(SeekFrom::End(0)).ok()?;
    let mut walk = Walk { reader, boxes: BOXES };
    let first = walk.next(0, end)?;
    if !matches!(&first.kind, b"ftyp" | b"moov" | b"mdat" | b"wide" | b"free" | b"skip") {
        return None;
    }
    let moov = walk.find(*b"moov", 0, end)?;
    let mut media = Media::default();
    let mut place = moov.start;
    while let Some(inner) = walk.next(place, moov.end) {
        match &inner.kind {
            b"mvhd" => media.duration = walk.duration(&inner),
            b"trak" => {
                let size = walk.find(*b"tkhd", inner.start, inner.end).and_then(|head| walk.size(&head));
                // The first track with a picture; a sound track's size is nought.
                if let (Some((width, height)), None) = (size, media.width) {
                    (media.width, media.height) = (Some(width), Some(height));
                }
            }
            _ => {}
        }
        place = inner.end;
    }
    Some(media)
}

/// A box: its kind, and where its contents are.
struct Found {
    kind: [u8; 4],
    start: u64,
    end: u64,
}

struct Walk<'a, R> {
    reader: &'a mut R,
    boxes: usize,
}

impl<R: Read + Seek> Walk<'_, R> {
    fn bytes<const N: usize>(&mut self, place: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.reader.seek(SeekFrom::Start(place)).ok()?;
        self.reader.read_exact(&mut bytes).ok()?;
        Some(bytes)
    }

    fn u32(&mut self, place: u64) -> Option<u32> {
        self.bytes(place).map(u32::from_be_bytes)
    }

    fn u64(&mut self, place: u64) -> Option<u64> {
        self.bytes(place).map(u64::from_be_bytes)
    }

    /// The box at `place`, if it ends by `end`.
    fn next(&mut self, place: u64, end: u64) -> Option<Found> {
        self.boxes = self.boxes.checked_sub(1)?;
        let kind = self.bytes(place.checked_add(4)?)?;
        let (head, size) = match self.u32(place)? {
            0 => (8, end.checked_sub(place)?),
            1 => (16, self.u64(place.checked_add(8)?)?),
            size => (8, u64::from(size)),
        };
        let stop = place.checked_add(size)?;
        (size >= head && stop <= end).then_some(Found { kind, start: place + head, end: stop })
    }

    fn find(&mut self, kind: [u8; 4], mut place: u64, end: u64) -> Option<Found> {
        loop {
            let found = self.next(place, end)?;
            if found.kind == kind {
                return Some(found);
            }
            place = found.end;
        }
    }

    /// From `mvhd`: a version, two times, then units a second and the length in units.
    fn duration(&mut self, header: &Found) -> Option<Duration> {
        let [version, ..] = self.bytes::<4>(header.start)?;
        let (scale, units) = if version == 1 {
            (self.u32(header.start + 20)?, self.u64(header.start + 24)?)
        } else {
            (self.u32(header.start + 12)?, u64::from(self.u32(header.start + 16)?))
        };
        // All ones say «unknown».
        let unknown = if version == 1 { u64::MAX } else { u64::from(u32::MAX) };
        if scale == 0 || units == 0 || units == unknown {
            return None;
        }
        Duration::try_from_secs_f64(units as f64 / f64::from(scale)).ok()
    }

    /// From `tkhd`: its last eight bytes are width and height, in 65,536ths of a pixel.
    fn size(&mut self, header: &Found) -> Option<(u32, u32)> {
        let place = header.end.checked_sub(8).filter(|place| *place >= header.start)?;
        let (width, height) = (self.u32(place)? >> 16, self.u32(place + 4)? >> 16);
        (width > 0 && height > 0).then_some((width, height))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn boxed(kind: [u8; 4], contents: &[u8]) -> Vec<u8> {
        let size = u32::try_from(contents.len() + 8).unwrap();
        [&size.to_be_bytes(), &kind[..], contents].concat()
    }

    fn track(width: u32, height: u32) -> Vec<u8> {
        let mut head = vec![0; 76];
        head.extend_from_slice(&(width << 16).to_be_bytes());
        head.extend_from_slice(&(height << 16).to_be_bytes());
        boxed(*b"trak", &boxed(*b"tkhd", &head))
    }

    fn movie(header: &[u8]) -> Vec<u8> {
        let moov = [boxed(*b"mvhd", header), track(0, 0), track(1920, 1080)].concat();
        [boxed(*b"ftyp", b"isom"), boxed(*b"mdat", &[7; 99]), boxed(*b"moov", &moov)].concat()
    }

    #[test]
    fn a_movie_without_sound_has_size_and_length() {
        let mut header = vec![0; 12];
        header.extend_from_slice(&1000_u32.to_be_bytes());
        header.extend_from_slice(&12_500_u32.to_be_bytes());
        header.resize(100, 0);
        let file = movie(&header);
        let media = probe(&mut Cursor::new(&file)).unwrap();
        assert_eq!((media.width, media.height), (Some(1920), Some(1080)));
        assert_eq!(media.duration, Some(Duration::from_millis(12_500)));
        for cut in 0..file.len() {
            probe(&mut Cursor::new(&file[..cut]));
        }
    }

    #[test]
    fn the_long_header_and_the_unknown_length_are_read() {
        let mut header = vec![1; 20];
        header.extend_from_slice(&600_u32.to_be_bytes());
        header.extend_from_slice(&1200_u64.to_be_bytes());
        assert_eq!(probe(&mut Cursor::new(movie(&header))).unwrap().duration, Some(Duration::from_secs(2)));
        header[24..].fill(0xff);
        assert_eq!(probe(&mut Cursor::new(movie(&header))).unwrap().duration, None);
    }

    #[test]
    fn another_kind_of_file_is_left_alone() {
        assert_eq!(probe(&mut Cursor::new(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")), None);
        assert_eq!(probe(&mut Cursor::new(boxed(*b"ftyp", b"heic"))), None);
    }
}
