//! Audio files that consist of frames only: MPEG audio (MP3) and AAC in ADTS. The frames are counted. A header that
//! gives the total length may be an estimate, or may belong to another version of the file.

use std::io::{Read, Seek, SeekFrom};
use std::time::Duration;

use super::{MediaInfo, MediaKind};

/// The most bytes that are skipped in search of frames before the file counts as another format.
const RUBBISH: u64 = 256 * 1024;
/// The bytes of a frame that identify it.
const HEAD: usize = 8;

/// A frame, as its first bytes describe it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct AudioFrame {
    /// The length in bytes, with the header.
    length: u64,
    samples: u64,
    /// The sample rate, in samples a second.
    rate: u64,
    /// The part that is constant within a file: the format and its version.
    format: (u8, u64),
}

/// The duration of a file of frames; `None` for another file.
pub(super) fn probe<R: Read + Seek>(reader: &mut R) -> Option<MediaInfo> {
    let end = reader.seek(SeekFrom::End(0)).ok()?;
    let mut walk = FrameReader { reader, end, rubbish: RUBBISH };
    let mut position = walk.after_tags(0)?;
    let (mut first, mut total, mut longest) = (None::<AudioFrame>, 0_u64, 0_u64);
    while let Some((at, frame)) = walk.next(position, first.is_none()) {
        let known = *first.get_or_insert(frame);
        if total > 0 || !walk.is_index(at, frame) {
            // Converted to the first frame's sample rate.
            let samples = frame.samples.checked_mul(known.rate)? / frame.rate.max(1);
            total = total.checked_add(samples)?;
            longest = longest.max(samples);
        }
        position = at + frame.length;
    }
    let rate = first?.rate.max(1);
    let length = |samples: u64| Duration::from_secs_f64(samples as f64 / rate as f64);
    if total == 0 {
        return None;
    }
    // An encoder pads its last frame with silence.
    let whole = total / rate;
    let duration =
        if whole > 0 && total - whole * rate <= longest { Duration::from_secs(whole) } else { length(total) };
    Some(MediaInfo { content: MediaKind::Sound, duration: Some(duration), ..MediaInfo::default() })
}

struct FrameReader<'a, R> {
    reader: &'a mut R,
    end: u64,
    rubbish: u64,
}

impl<R: Read + Seek> FrameReader<'_, R> {
    /// Eight bytes at `position`. Bytes after the end of the file are zero.
    fn head(&mut self, position: u64) -> Option<[u8; HEAD]> {
        let mut head = [0; HEAD];
        self.reader.seek(SeekFrom::Start(position)).ok()?;
        let mut read = 0;
        while let Some(rest) = head.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match self.reader.read(rest).ok()? {
                0 => break,
                count => read += count,
            }
        }
        Some(head)
    }

    /// The place after the ID3 tags at the beginning.
    fn after_tags(&mut self, mut position: u64) -> Option<u64> {
        loop {
            let [b'I', b'D', b'3', _, _, flags, _, _] = self.head(position)? else { return Some(position) };
            let sizes = self.head(position + 6)?;
            let size = sizes.iter().take(4).fold(0_u64, |size, byte| size << 7 | u64::from(byte & 0x7f));
            let footer = if flags & 0x10 == 0 { 0 } else { 10 };
            position = position.checked_add(10 + size + footer).filter(|position| *position < self.end)?;
        }
    }

    /// The next frame at or after `position`. The first frame of a file, or one after skipped bytes, counts only if
    /// another frame follows it or the file ends with it.
    fn next(&mut self, mut position: u64, mut doubtful: bool) -> Option<(u64, AudioFrame)> {
        while position + 4 <= self.end {
            let head = self.head(position)?;
            if head.starts_with(b"TAG") || head.starts_with(b"APETAGEX") {
                return None;
            }
            if let Some(frame) = frame(head).filter(|frame| position + frame.length <= self.end) {
                let next = position + frame.length;
                if !doubtful || next == self.end || self.follows(next, frame) {
                    return Some((position, frame));
                }
            }
            doubtful = true;
            self.rubbish = self.rubbish.checked_sub(1)?;
            position += 1;
        }
        None
    }

    fn follows(&mut self, position: u64, before: AudioFrame) -> bool {
        let Some(head) = self.head(position) else { return false };
        head.starts_with(b"TAG")
            || head.starts_with(b"APETAGEX")
            || frame(head).is_some_and(|frame| frame.format == before.format)
    }

    /// Whether a frame of MPEG audio holds an index instead of sound (Xing, Info, VBRI).
    fn is_index(&mut self, position: u64, frame: AudioFrame) -> bool {
        let mut contents = [0; 48];
        let wanted = usize::try_from(frame.length).unwrap_or(usize::MAX).min(contents.len());
        let Some(contents) = contents.get_mut(..wanted) else { return false };
        if self.reader.seek(SeekFrom::Start(position)).is_err() || self.reader.read_exact(contents).is_err() {
            return false;
        }
        let at = |offset: usize, name: &[u8]| contents.get(offset..offset + 4) == Some(name);
        [13, 21, 36].iter().any(|offset| at(*offset, b"Xing") || at(*offset, b"Info")) || at(36, b"VBRI")
    }
}

fn frame(head: [u8; HEAD]) -> Option<AudioFrame> {
    mpeg(head).or_else(|| adts(head))
}

/// Parses a frame of MPEG audio: eleven one bits, version, layer, bit rate and sample rate (ISO/IEC 11172-3, 13818-3).
fn mpeg([first, second, third, ..]: [u8; HEAD]) -> Option<AudioFrame> {
    /// Kilobits a second, by version (1 or other), layer (1 to 3) and index (from 1).
    const RATES: [[u64; 14]; 5] = [
        [32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
        [32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
        [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
        [32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
        [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
    ];
    if first != 0xff || second & 0xe0 != 0xe0 {
        return None;
    }
    let shift = match second >> 3 & 3 {
        0 => 2,
        2 => 1,
        3 => 0,
        _ => return None,
    };
    let (is_first, layer) = (shift == 0, second >> 1 & 3);
    let (table, samples) = match (is_first, layer) {
        (true, 3) => (0, 384),
        (true, 2) => (1, 1152),
        (true, 1) => (2, 1152),
        (false, 3) => (3, 384),
        (false, 2) => (4, 1152),
        (false, 1) => (4, 576),
        _ => return None,
    };
    let kilobits = RATES.get(table)?.get(usize::from(third >> 4).checked_sub(1)?)?;
    let rate = [44_100_u64, 48_000, 32_000].get(usize::from(third >> 2 & 3))? >> shift;
    let padding = u64::from(third >> 1 & 1);
    let length = if layer == 3 {
        (12_000 * kilobits / rate + padding) * 4
    } else {
        samples / 8 * 1000 * kilobits / rate + padding
    };
    (length > 4).then_some(AudioFrame { length, samples, rate, format: (second & 0xfe, rate) })
}

/// Parses a frame of AAC: twelve one bits, layer 0, sample rate, length (ISO/IEC 14496-3, ADTS).
fn adts([first, second, third, fourth, fifth, sixth, seventh, _]: [u8; HEAD]) -> Option<AudioFrame> {
    const RATES: [u64; 13] =
        [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8000, 7350];
    if first != 0xff || second & 0xf6 != 0xf0 {
        return None;
    }
    let rate = *RATES.get(usize::from(third >> 2 & 0xf))?;
    let length = u64::from(fourth & 3) << 11 | u64::from(fifth) << 3 | u64::from(sixth >> 5);
    let samples = 1024 * (u64::from(seventh & 3) + 1);
    (length >= 7).then_some(AudioFrame { length, samples, rate, format: (second & 0xfe, rate) })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn seconds(bytes: &[u8]) -> Option<f64> {
        probe(&mut Cursor::new(bytes))?.duration.map(|duration| duration.as_secs_f64())
    }

    fn mp3(kilobits: usize, code: u8) -> Vec<u8> {
        let mut frame = vec![0xff, 0xfb, code << 4, 0xc4];
        frame.resize(144 * kilobits * 1000 / 44_100, 0);
        frame
    }

    fn aac(length: usize) -> Vec<u8> {
        let bytes = u32::try_from(length).unwrap().to_be_bytes();
        let mut frame =
            vec![0xff, 0xf1, 0x50, 0x80 | bytes[2] >> 3, bytes[2] << 5 | bytes[3] >> 3, bytes[3] << 5, 0];
        frame.resize(length, 0);
        frame
    }

    #[test]
    fn frames_of_every_size_count_alike() {
        let file: Vec<u8> =
            (0..268).flat_map(|i| if i % 2 == 0 { mp3(160, 10) } else { mp3(32, 1) }).collect();
        assert_eq!(seconds(&file), Some(7.0));
        let tagged = [b"ID3\x04\0\0\0\0\x02\x01".as_slice(), &[0xff; 257], &file, b"TAG", &[0; 125]].concat();
        assert_eq!(seconds(&tagged), Some(7.0));
        let mut spoilt = file.clone();
        spoilt.splice(mp3(160, 10).len()..mp3(160, 10).len(), [7; 100]);
        // At most the frame before the noise is lost.
        assert_eq!(seconds(&spoilt).map(f64::ceil), Some(7.0));
    }

    #[test]
    fn an_index_is_no_sound_and_what_it_says_is_not_believed() {
        let mut index = mp3(128, 9);
        index[36..48].copy_from_slice(b"Xing\0\0\0\x01\0\x0f\0\0");
        let file = [index, mp3(128, 9).repeat(58)].concat();
        assert!((seconds(&file).unwrap() - 58.0 * 1152.0 / 44_100.0).abs() < 1e-6);
    }

    #[test]
    fn aac_is_counted_too() {
        let file: Vec<u8> = (0..100).flat_map(|i| aac(200 + i % 7)).collect();
        assert!((seconds(&file).unwrap() - 100.0 * 1024.0 / 44_100.0).abs() < 1e-6);
    }

    #[test]
    fn anything_else_has_no_length() {
        for bytes in [&b""[..], b"ID3", &[0xff; 4000], b"this is no sound", b"\xff\xfb\x90\xc4"] {
            assert_eq!(seconds(bytes), None, "{bytes:?}");
        }
    }
}
