//! MP4 and related formats (MOV, M4V, M4A, 3GP): the displayed size of the picture, and the duration (ISO/IEC
//! 14496-12).
//!
//! A fragmented file has its length in none of the usual places, so its samples are counted.

use std::io::{Read, Seek, SeekFrom};
use std::time::Duration;

use super::boxes::{BoxReader, Mp4Box};
use super::{MediaInfo, MediaKind};

#[derive(Debug, Default, Clone)]
struct Track {
    id: u32,
    /// The displayed width and height; `None` for a sound.
    size: Option<(u32, u32)>,
    is_sound: bool,
    /// Time units a second.
    scale: u32,
    /// The length in the track's own header, in units.
    said: u64,
    /// The length of the samples in the file's main part, in units.
    counted: u64,
    /// Whether an edit list plays only a part of the samples.
    is_edited: bool,
    /// The default length of a sample in a fragment, in units.
    default: u32,
    /// The end of the last fragment, in units.
    fragments: u64,
}

impl Track {
    fn seconds(&self, units: u64) -> f64 {
        if self.scale == 0 { 0.0 } else { units as f64 / f64::from(self.scale) }
    }
}

/// The size and duration of a video or a sound; `None` for another kind of file.
pub(super) fn probe<R: Read + Seek>(reader: &mut R) -> Option<MediaInfo> {
    let end = reader.seek(SeekFrom::End(0)).ok()?;
    let mut walk = BoxReader::new(reader);
    let first = walk.next(0, end)?;
    if !matches!(
        &first.kind,
        b"ftyp" | b"moov" | b"mdat" | b"wide" | b"free" | b"skip" | b"styp" | b"sidx" | b"moof"
    ) {
        return None;
    }
    let mut movie = Movie::default();
    let mut position = 0;
    while let Some(found) = walk.next(position, end) {
        match &found.kind {
            b"moov" => movie.header(&mut walk, found),
            b"moof" => movie.fragment(&mut walk, found),
            b"sidx" => movie.index += index(&mut walk, found).unwrap_or(0.0),
            _ => {}
        }
        position = found.end;
    }
    movie.media()
}

#[derive(Debug, Default)]
struct Movie {
    tracks: Vec<Track>,
    /// The length in the movie's header, in seconds.
    said: Option<f64>,
    /// The length in the header of the fragments, in seconds.
    said_of_fragments: Option<f64>,
    is_fragmented: bool,
    /// The length in the index of the fragments, in seconds.
    index: f64,
}

impl Movie {
    /// Reads `moov`: the movie's header, its tracks, and the defaults of its fragments.
    fn header<R: Read + Seek>(&mut self, walk: &mut BoxReader<'_, R>, moov: Mp4Box) {
        let mut scale = 0;
        let mut position = moov.start;
        while let Some(found) = walk.next(position, moov.end) {
            match &found.kind {
                b"mvhd" => {
                    if let Some((units, said)) = times(walk, found) {
                        scale = units;
                        self.said = said.filter(|_| units > 0).map(|said| said as f64 / f64::from(units));
                    }
                }
                b"trak" => self.tracks.extend(track(walk, found)),
                b"mvex" => {
                    self.is_fragmented = true;
                    self.extends(walk, found, scale);
                }
                _ => {}
            }
            position = found.end;
        }
    }

    /// Reads `mvex`: the length of all fragments (`mehd`), and each track's defaults (`trex`).
    fn extends<R: Read + Seek>(&mut self, walk: &mut BoxReader<'_, R>, mvex: Mp4Box, scale: u32) {
        let mut position = mvex.start;
        while let Some(found) = walk.next(position, mvex.end) {
            if found.kind == *b"mehd" && scale > 0 {
                let units = match walk.bytes::<4>(found.start) {
                    Some([1, ..]) => walk.u64(found.start + 4),
                    _ => walk.u32(found.start + 4).map(u64::from),
                };
                self.said_of_fragments = units.map(|units| units as f64 / f64::from(scale));
            } else if found.kind == *b"trex" {
                let (id, default) = (walk.u32(found.start + 4), walk.u32(found.start + 12));
                if let Some(track) = self.tracks.iter_mut().find(|track| Some(track.id) == id) {
                    track.default = default.unwrap_or(0);
                }
            }
            position = found.end;
        }
    }

    /// Reads `moof`: a part of some tracks' samples.
    fn fragment<R: Read + Seek>(&mut self, walk: &mut BoxReader<'_, R>, moof: Mp4Box) {
        let mut position = moof.start;
        while let Some(found) = walk.next(position, moof.end) {
            if found.kind == *b"traf" {
                self.part(walk, found);
            }
            position = found.end;
        }
    }

    /// Reads `traf`: one track's part of a fragment.
    fn part<R: Read + Seek>(&mut self, walk: &mut BoxReader<'_, R>, traf: Mp4Box) -> Option<()> {
        let head = walk.within(*b"tfhd", traf)?;
        let (flags, id) = (walk.u32(head.start)?, walk.u32(head.start + 4)?);
        let before = [(0x1, 8), (0x2, 4)].iter().filter(|(flag, _)| flags & flag != 0);
        let default = head.start + 8 + before.map(|(_, bytes)| bytes).sum::<u64>();
        let own = if flags & 0x8 == 0 { None } else { walk.u32(default) };
        let base = walk.within(*b"tfdt", traf).and_then(|found| match walk.bytes::<4>(found.start)? {
            [1, ..] => walk.u64(found.start + 4),
            _ => walk.u32(found.start + 4).map(u64::from),
        });
        let track = self.tracks.iter_mut().find(|track| track.id == id)?;
        let mut at = base.unwrap_or(track.fragments);
        let mut position = traf.start;
        while let Some(found) = walk.next(position, traf.end) {
            if found.kind == *b"trun" {
                at = at.saturating_add(run(walk, found, own.unwrap_or(track.default)).unwrap_or(0));
            }
            position = found.end;
        }
        track.fragments = track.fragments.max(at);
        Some(())
    }

    fn media(self) -> Option<MediaInfo> {
        let picture = self.tracks.iter().find_map(|track| track.size);
        let is_sound = self.tracks.iter().any(|track| track.is_sound);
        if picture.is_none() && !is_sound && self.said.is_none() {
            return None;
        }
        let longest = |of: &dyn Fn(&Track) -> u64| {
            self.tracks.iter().map(|track| track.seconds(of(track))).fold(0.0, f64::max)
        };
        let counted = longest(&|track| track.counted.max(track.fragments));
        let is_edited = self.tracks.iter().any(|track| track.is_edited);
        let said = [self.said_of_fragments.filter(|_| self.is_fragmented), self.said, Some(self.index)];
        let said = said.into_iter().flatten().find(|seconds| *seconds > 0.0);
        let seconds = match said {
            // The played part may be shorter than the stored samples.
            Some(said) if is_edited && !self.is_fragmented => said,
            Some(said) if counted <= 0.0 => said,
            _ if counted > 0.0 => counted,
            _ => longest(&|track| track.said),
        };
        let duration = Duration::try_from_secs_f64(seconds).ok().filter(|duration| !duration.is_zero());
        let content = if picture.is_none() && is_sound { MediaKind::Sound } else { MediaKind::Video };
        let (width, height) = picture.unzip();
        Some(MediaInfo { content, width, height, duration })
    }
}

/// Reads `trak`.
fn track<R: Read + Seek>(walk: &mut BoxReader<'_, R>, found: Mp4Box) -> Option<Track> {
    let mut track = Track::default();
    let head = walk.within(*b"tkhd", found)?;
    let version = walk.bytes::<1>(head.start)?[0];
    track.id = walk.u32(head.start + if version == 1 { 20 } else { 12 })?;
    track.size = shown_size(walk, head);
    if let Some(edits) = walk.within(*b"edts", found) {
        track.is_edited = walk.within(*b"elst", edits).is_some();
    }
    let Some(media) = walk.within(*b"mdia", found) else { return Some(track) };
    if let Some((scale, said)) = walk.within(*b"mdhd", media).and_then(|found| times(walk, found)) {
        (track.scale, track.said) = (scale, said.unwrap_or(0));
    }
    let handler = walk.within(*b"hdlr", media).and_then(|found| walk.bytes::<4>(found.start + 8));
    track.is_sound = handler == Some(*b"soun");
    let table = walk.within(*b"minf", media).and_then(|found| walk.within(*b"stbl", found));
    if let Some(times) = table.and_then(|found| walk.within(*b"stts", found)) {
        let words = walk.words(times.start + 8, times.end).unwrap_or_default();
        let pairs = words.as_chunks::<2>().0;
        track.counted = pairs
            .iter()
            .fold(0, |sum: u64, [count, units]| sum.saturating_add(u64::from(*count) * u64::from(*units)));
    }
    Some(track)
}

/// The units a second and the length in units from `mvhd` or `mdhd`; the length is `None` if unknown. These boxes hold
/// a version and two times before them.
fn times<R: Read + Seek>(walk: &mut BoxReader<'_, R>, header: Mp4Box) -> Option<(u32, Option<u64>)> {
    let [version, ..] = walk.bytes::<4>(header.start)?;
    let (scale, units) = if version == 1 {
        (walk.u32(header.start + 20)?, walk.u64(header.start + 24)?)
    } else {
        (walk.u32(header.start + 12)?, u64::from(walk.u32(header.start + 16)?))
    };
    // All one bits mean that the length is unknown.
    let unknown = if version == 1 { u64::MAX } else { u64::from(u32::MAX) };
    Some((scale, Some(units).filter(|units| *units != unknown && *units != 0)))
}

/// Reads the displayed size from `tkhd`. Its last 44 bytes are a matrix of nine numbers, then width and height in
/// 65,536ths of a pixel. A matrix whose first number is zero turns the picture by 90 degrees.
fn shown_size<R: Read + Seek>(walk: &mut BoxReader<'_, R>, header: Mp4Box) -> Option<(u32, u32)> {
    let position = header.end.checked_sub(8).filter(|position| *position >= header.start)?;
    let (width, height) = (walk.u32(position)? >> 16, walk.u32(position + 4)? >> 16);
    if width == 0 || height == 0 {
        return None;
    }
    let matrix = position.checked_sub(36).filter(|matrix| *matrix >= header.start);
    let numbers = matrix.and_then(|matrix| Some((walk.u32(matrix)?, walk.u32(matrix + 4)?)));
    Some(if matches!(numbers, Some((0, turned)) if turned != 0) { (height, width) } else { (width, height) })
}

/// The length of the samples of a `trun`, in units.
fn run<R: Read + Seek>(walk: &mut BoxReader<'_, R>, found: Mp4Box, default: u32) -> Option<u64> {
    let (flags, count) = (walk.u32(found.start)?, walk.u32(found.start + 4)?);
    let skipped = |flags: u32, bits: &[u32]| bits.iter().filter(|bit| flags & **bit != 0).count();
    if flags & 0x100 == 0 {
        return Some(u64::from(count) * u64::from(default));
    }
    let words = walk.words(found.start + 8 + 4 * skipped(flags, &[0x1, 0x4]) as u64, found.end)?;
    let each = skipped(flags, &[0x100, 0x200, 0x400, 0x800]);
    let lengths = words.chunks(each).take(usize::try_from(count).ok()?).filter_map(<[u32]>::first);
    Some(lengths.fold(0, |sum: u64, length| sum.saturating_add(u64::from(*length))))
}

/// The length of the fragments that a `sidx` lists, in seconds.
fn index<R: Read + Seek>(walk: &mut BoxReader<'_, R>, found: Mp4Box) -> Option<f64> {
    let [version, ..] = walk.bytes::<4>(found.start)?;
    let scale = walk.u32(found.start + 8).filter(|scale| *scale > 0)?;
    let words = walk.words(found.start + if version == 0 { 20 } else { 28 }, found.end)?;
    let (head, entries) = words.split_first()?;
    let count = usize::try_from(head & 0xffff).ok()?;
    let lengths = entries.as_chunks::<3>().0.iter().take(count).map(|[_, length, _]| f64::from(*length));
    Some(lengths.sum::<f64>() / f64::from(scale))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn boxed(kind: [u8; 4], contents: &[u8]) -> Vec<u8> {
        let size = u32::try_from(contents.len() + 8).unwrap();
        [&size.to_be_bytes(), &kind[..], contents].concat()
    }

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    /// A track header with the first two numbers of its matrix.
    fn head(id: u32, matrix: (u32, u32), width: u32, height: u32) -> Vec<u8> {
        let mut head = words(&[0, 0, 0, id, 0, 0, 0, 0, 0, 0, matrix.0, matrix.1, 0]);
        head.resize(76, 0);
        head.extend(words(&[width << 16, height << 16]));
        boxed(*b"tkhd", &head)
    }

    fn track(head: &[u8], handler: [u8; 4], scale: u32, stts: &[u32]) -> Vec<u8> {
        let table = boxed(*b"stbl", &boxed(*b"stts", &words(&[&[0, 1], stts].concat())));
        let media = [
            boxed(*b"mdhd", &words(&[0, 0, 0, scale, 0, 0])),
            boxed(*b"hdlr", &[&[0; 8], handler.as_slice(), &[0; 12]].concat()),
            boxed(*b"minf", &table),
        ];
        boxed(*b"trak", &[head, &boxed(*b"mdia", &media.concat())].concat())
    }

    fn movie_header(scale: u32, units: u32) -> Vec<u8> {
        let mut header = words(&[0, 0, 0, scale, units]);
        header.resize(100, 0);
        boxed(*b"mvhd", &header)
    }

    fn movie(moov: &[u8]) -> Vec<u8> {
        [boxed(*b"ftyp", b"isom"), boxed(*b"mdat", &[7; 99]), boxed(*b"moov", moov)].concat()
    }

    fn read(file: &[u8]) -> MediaInfo {
        probe(&mut Cursor::new(file)).unwrap()
    }

    #[test]
    fn a_movie_without_sound_has_size_and_length() {
        let track = track(&head(1, (0x10000, 0), 1920, 1080), *b"vide", 600, &[]);
        let file = movie(&[movie_header(1000, 12_500), track].concat());
        let media = read(&file);
        assert_eq!((media.content, media.width, media.height), (MediaKind::Video, Some(1920), Some(1080)));
        assert_eq!(media.duration, Some(Duration::from_millis(12_500)));
        for cut in 0..file.len() {
            probe(&mut Cursor::new(&file[..cut]));
        }
    }

    #[test]
    fn a_picture_turned_by_a_quarter_is_as_high_as_it_is_wide() {
        for (matrix, size) in [
            ((0x10000, 0), (1920, 1080)),
            ((0, 0x10000), (1080, 1920)),
            ((0, 0xffff_0000), (1080, 1920)),
            ((0xffff_0000, 0), (1920, 1080)),
            ((0, 0), (1920, 1080)),
        ] {
            let track = track(&head(1, matrix, 1920, 1080), *b"vide", 600, &[]);
            let media = read(&movie(&[movie_header(1000, 1000), track].concat()));
            assert_eq!(media.width.zip(media.height), Some(size), "{matrix:?}");
        }
    }

    #[test]
    fn samples_count_where_the_header_lies() {
        let sound = track(&head(1, (0x10000, 0), 0, 0), *b"soun", 1000, &[300, 20]);
        for said in [0, 1000, u32::MAX] {
            let media = read(&movie(&[movie_header(1000, said), sound.clone()].concat()));
            assert_eq!(
                (media.content, media.duration),
                (MediaKind::Sound, Some(Duration::from_secs(6))),
                "{said}"
            );
        }
    }

    fn fragment(id: u32, base: u32, run: &[u32]) -> Vec<u8> {
        let part = [
            boxed(*b"tfhd", &words(&[0x8, id, 20])),
            boxed(*b"tfdt", &words(&[0, base])),
            boxed(*b"trun", &words(run)),
        ];
        let part = boxed(*b"traf", &part.concat());
        [boxed(*b"moof", &[boxed(*b"mfhd", &[0; 8]), part].concat()), boxed(*b"mdat", &[0; 40])].concat()
    }

    #[test]
    fn the_samples_of_fragments_are_counted() {
        let sound = track(&head(7, (0x10000, 0), 0, 0), *b"soun", 1000, &[]);
        let extends = boxed(*b"mvex", &boxed(*b"trex", &words(&[0, 7, 1, 40, 0, 0])));
        let moov = movie(&[movie_header(1000, 0), sound, extends].concat());
        let one = fragment(7, 0, &[0x1, 100, 0]);
        let two = fragment(7, 2000, &[0x301, 3, 0, 500, 1, 600, 1, 700, 1]);
        assert_eq!(read(&[moov, one, two].concat()).duration, Some(Duration::from_millis(3800)));
    }

    #[test]
    fn an_index_tells_the_length_of_fragments_that_are_elsewhere() {
        let picture = track(&head(1, (0x10000, 0), 64, 48), *b"vide", 1000, &[]);
        let moov = [movie_header(1000, 0), picture, boxed(*b"mvex", &[])].concat();
        let index = boxed(*b"sidx", &words(&[0, 1, 500, 0, 0, 2, 9, 1000, 0, 9, 250, 0]));
        assert_eq!(read(&[movie(&moov), index].concat()).duration, Some(Duration::from_millis(2500)));
        let length = boxed(*b"mvex", &boxed(*b"mehd", &words(&[0, 4200])));
        let picture = track(&head(1, (0x10000, 0), 64, 48), *b"vide", 1000, &[]);
        let moov = [movie_header(1000, 0), picture, length].concat();
        assert_eq!(read(&movie(&moov)).duration, Some(Duration::from_millis(4200)));
    }

    #[test]
    fn another_kind_of_file_is_left_alone() {
        assert_eq!(probe(&mut Cursor::new(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")), None);
        assert_eq!(probe(&mut Cursor::new(boxed(*b"ftyp", b"heic"))), None);
    }
}
