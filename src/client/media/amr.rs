//! AMR, the usual format of voice messages: a magic number, then frames of 20 ms. The first byte of each frame gives
//! its size (RFC 4867, section 5).

use std::io::{BufRead, Read};
use std::time::Duration;

use super::{MediaInfo, MediaKind};

const FRAME: Duration = Duration::from_millis(20);
/// The bytes of a frame after its first byte, by frame type; `None` for types that do not exist.
const NARROW: [Option<u64>; 16] = sizes(&[12, 13, 15, 17, 19, 20, 26, 31, 5]);
const WIDE: [Option<u64>; 16] = sizes(&[17, 23, 32, 36, 40, 46, 50, 58, 60, 5]);

/// Types 0 to n as in `table`. Type 15 is a frame without data. In the wide band, type 14 is a lost frame.
const fn sizes(table: &[u64]) -> [Option<u64>; 16] {
    let mut sizes = [None; 16];
    let mut index = 0;
    while index < table.len() {
        sizes[index] = Some(table[index]);
        index += 1;
    }
    if table.len() == 10 {
        sizes[14] = Some(0);
    }
    sizes[15] = Some(0);
    sizes
}

/// The duration of an AMR file; `None` for another file, or for one with a frame type that does not exist.
pub(super) fn probe(reader: &mut impl BufRead) -> Option<MediaInfo> {
    let mut magic = Vec::with_capacity(16);
    reader.take(16).read_until(b'\n', &mut magic).ok()?;
    let sizes = match magic.as_slice() {
        b"#!AMR\n" => NARROW,
        b"#!AMR-WB\n" => WIDE,
        _ => return None,
    };
    let mut frames = 0;
    loop {
        let mut head = [0];
        if reader.read(&mut head).ok()? == 0 {
            break;
        }
        let size = sizes[usize::from(head[0] >> 3 & 0xf)]?;
        // A truncated frame is not played.
        if std::io::copy(&mut reader.take(size), &mut std::io::sink()).ok()? < size {
            break;
        }
        frames += 1;
    }
    let duration = FRAME.checked_mul(frames)?;
    Some(MediaInfo {
        content: MediaKind::Sound,
        duration: (frames > 0).then_some(duration),
        ..MediaInfo::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn duration(bytes: &[u8]) -> Option<Duration> {
        probe(&mut &bytes[..])?.duration
    }

    #[test]
    fn a_frame_lasts_20_ms_whatever_its_size() {
        let mut file = b"#!AMR\n".to_vec();
        for _ in 0..50 {
            file.push(7 << 3 | 4);
            file.resize(file.len() + 31, 0);
        }
        assert_eq!(duration(&file), Some(Duration::from_secs(1)));
        file.push(8 << 3 | 4);
        file.resize(file.len() + 5, 0);
        assert_eq!(duration(&file), Some(Duration::from_millis(1020)));
        file.pop();
        assert_eq!(duration(&file), Some(Duration::from_secs(1)));
    }

    #[test]
    fn the_wide_band_has_sizes_of_its_own() {
        let mut file = b"#!AMR-WB\n".to_vec();
        for _ in 0..10 {
            file.push(8 << 3 | 4);
            file.resize(file.len() + 60, 0);
        }
        file.push(14 << 3 | 4);
        assert_eq!(duration(&file), Some(Duration::from_millis(220)));
    }

    #[test]
    fn anything_else_has_no_length() {
        for bytes in [&b"#!AMR\n"[..], b"#!AMR", b"#!AMX\n", b"", b"#!AMR\n\x70aaaaaaaaaaaaaaaa"] {
            assert_eq!(duration(bytes), None);
        }
    }
}
