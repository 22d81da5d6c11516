//! WAV: the format chunk gives the bytes of sound a second, and the bytes of sound are counted. A program that streams
//! cannot go back to write their number, and leaves zero or all one bits.

use std::io::{Read, Seek, SeekFrom};
use std::time::Duration;

use super::{MediaInfo, MediaKind};

/// The most chunks that are read.
const CHUNKS: usize = 1000;

/// The duration of a WAV file (RIFF, and RF64 or BW64 for long ones); `None` for another file.
pub(super) fn probe<R: Read + Seek>(reader: &mut R) -> Option<MediaInfo> {
    let end = reader.seek(SeekFrom::End(0)).ok()?;
    let magic: [u8; 12] = bytes(reader, 0)?;
    let known = [b"RIFF", b"RF64", b"BW64"].iter().any(|name| magic.starts_with(*name));
    if !known || !magic.ends_with(b"WAVE") {
        return None;
    }
    let (mut position, mut format, mut long, mut samples, mut media) =
        (12, None, None, None, MediaInfo::default());
    media.content = MediaKind::Sound;
    for _ in 0..CHUNKS {
        let Some(head) = bytes::<8, _>(reader, position) else { break };
        let (name, size) = head.split_at(4);
        let size = u64::from(u32::from_le_bytes(size.try_into().ok()?));
        let start = position + 8;
        match name {
            b"fmt " => format = WavFormat::read(reader, start),
            b"ds64" => long = bytes(reader, start + 8).map(u64::from_le_bytes),
            b"fact" => samples = bytes(reader, start).map(u32::from_le_bytes),
            b"data" => {
                let said = if size == u64::from(u32::MAX) { long.unwrap_or(0) } else { size };
                let there = end.saturating_sub(start);
                let sound = if said == 0 { there } else { said.min(there) };
                let whole = sound == said;
                media.duration = format.and_then(|format| format.duration(sound, samples.filter(|_| whole)));
                break;
            }
            _ => {}
        }
        position = start.checked_add(size)?.checked_add(size % 2)?;
    }
    Some(media)
}

#[derive(Debug, Clone, Copy)]
struct WavFormat {
    /// The format tag. 1 means plain samples (PCM).
    tag: u16,
    /// The sample rate, in samples a second.
    rate: u32,
    /// Bytes a second, as the file states.
    bytes_a_second: u32,
    /// The bytes of one sample of all channels.
    block: u16,
}

impl WavFormat {
    fn read<R: Read + Seek>(reader: &mut R, position: u64) -> Option<Self> {
        let [t0, t1, _, _, r0, r1, r2, r3, b0, b1, b2, b3, a0, a1, _, _] = bytes(reader, position)?;
        Some(Self {
            tag: u16::from_le_bytes([t0, t1]),
            rate: u32::from_le_bytes([r0, r1, r2, r3]),
            bytes_a_second: u32::from_le_bytes([b0, b1, b2, b3]),
            block: u16::from_le_bytes([a0, a1]),
        })
    }

    /// The playing time of `sound` bytes.
    fn duration(self, sound: u64, samples: Option<u32>) -> Option<Duration> {
        // PCM, floating point, A-law, mu-law, and the extensible form of these.
        let is_plain = matches!(self.tag, 1 | 3 | 6 | 7 | 0xfffe);
        let plain = u64::from(self.rate) * u64::from(self.block);
        let seconds = match samples {
            Some(samples) if !is_plain && self.rate > 0 && samples > 0 => {
                f64::from(samples) / f64::from(self.rate)
            }
            _ if is_plain && plain > 0 => sound as f64 / plain as f64,
            _ => sound as f64 / f64::from(self.bytes_a_second),
        };
        Duration::try_from_secs_f64(seconds).ok().filter(|duration| !duration.is_zero())
    }
}

fn bytes<const N: usize, R: Read + Seek>(reader: &mut R, position: u64) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    reader.seek(SeekFrom::Start(position)).ok()?;
    reader.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn wav(name: [u8; 4], before: &[u8], size: u32, sound: usize) -> Option<Duration> {
        let mut file =
            [name.as_slice(), b"\xff\xff\xff\xffWAVE", before, b"fmt \x10\0\0\0\x01\0\x01\0"].concat();
        for field in [8000_u32, 16_000] {
            file.extend_from_slice(&field.to_le_bytes());
        }
        file.extend_from_slice(b"\x02\0\x10\0LIST\x03\0\0\0abc\0data");
        file.extend_from_slice(&size.to_le_bytes());
        file.resize(file.len() + sound, 0);
        probe(&mut Cursor::new(file)).unwrap().duration
    }

    #[test]
    fn a_length_that_was_never_written_is_counted() {
        let three = Some(Duration::from_secs(3));
        assert_eq!(wav(*b"RIFF", b"", 48_000, 48_000), three);
        for size in [0, u32::MAX, 50_000] {
            assert_eq!(wav(*b"RIFF", b"", size, 48_000), three, "{size}");
        }
        let long =
            |size: u64| [b"ds64\x1c\0\0\0".as_slice(), &[0; 8], &size.to_le_bytes(), &[0; 12]].concat();
        assert_eq!(wav(*b"RF64", &long(48_000), u32::MAX, 50_000), three);
        assert_eq!(wav(*b"BW64", &long(0), u32::MAX, 48_000), three);
        assert_eq!(wav(*b"RIFF", b"", 4800, 4800), Some(Duration::from_millis(300)));
        assert_eq!(wav(*b"RIFF", b"", 0, 0), None);
    }

    #[test]
    fn another_file_is_left_alone() {
        for bytes in [&b""[..], b"RIFF\0\0\0\0AVI LIST", b"RIFF\0\0\0\0WEBPVP8 "] {
            assert_eq!(probe(&mut Cursor::new(bytes)), None);
        }
    }
}
