//! Audio and video in the other formats: reads their headers, and counts their packets if the headers give no length.

use std::io::{BufReader, Read, Seek, SeekFrom};
use std::time::Duration;

use lofty::config::ParseOptions;
use lofty::file::AudioFile;
use lofty::probe::Probe;
use symphonia::core::codecs::CodecParameters;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::meta::MetadataOptions;

use super::{MediaInfo, MediaKind};

/// Reads the headers of Ogg with all its codecs, FLAC, AIFF, APE, `WavPack`, Musepack.
pub(super) fn by_header<R: Read + Seek>(reader: &mut BufReader<R>) -> Option<MediaInfo> {
    if is_silent_opus(reader) {
        return None;
    }
    let options = ParseOptions::new().read_tags(false).read_cover_art(false);
    let file = Probe::new(reader).options(options).guess_file_type().ok()?.read().ok()?;
    let duration = file.properties().duration();
    (!duration.is_zero()).then_some(MediaInfo {
        content: MediaKind::Sound,
        duration: Some(duration),
        ..MediaInfo::default()
    })
}

/// The bytes at the beginning that are searched for the head of Opus. A tag may come before it.
const OPUS_WITHIN: u64 = 64 * 1024;

/// Whether a file is Opus with no channel. lofty panics at such a head.
fn is_silent_opus<R: Read + Seek>(reader: &mut BufReader<R>) -> bool {
    const HEAD: &[u8] = b"OpusHead";
    let mut start = Vec::new();
    let read = reader.by_ref().take(OPUS_WITHIN).read_to_end(&mut start);
    let is_back = reader.seek(SeekFrom::Start(0)).is_ok();
    // The version comes between the head's name and the number of channels.
    let channels = |at: usize| start.get(at + HEAD.len() + 1);
    let mut places = start.windows(HEAD.len()).enumerate().filter(|(_, bytes)| *bytes == HEAD);
    read.is_err() || !is_back || places.any(|(at, _)| channels(at) == Some(&0))
}

/// A reader for the packet-counting library.
struct PacketSource<R> {
    reader: R,
    length: u64,
}

impl<R: Read> Read for PacketSource<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.reader.read(buffer)
    }
}

impl<R: Seek> Seek for PacketSource<R> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.reader.seek(to)
    }
}

impl<R: Read + Seek + Send + Sync> MediaSource for PacketSource<R> {
    fn is_seekable(&self) -> bool {
        true
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.length)
    }
}

/// Counts every packet of Matroska, `WebM`, FLAC without a length, CAF and more.
pub(super) fn by_packets<R: Read + Seek + Send + Sync>(mut reader: R) -> Option<MediaInfo> {
    let length = reader.seek(SeekFrom::End(0)).ok()?;
    reader.seek(SeekFrom::Start(0)).ok()?;
    let source = MediaSourceStream::new(
        Box::new(PacketSource { reader, length }),
        MediaSourceStreamOptions::default(),
    );
    let probe = symphonia::default::get_probe();
    let mut format =
        probe.probe(&Hint::new(), source, FormatOptions::default(), MetadataOptions::default()).ok()?;
    let mut media = MediaInfo::default();
    for track in format.tracks() {
        match &track.codec_params {
            Some(CodecParameters::Video(video)) => {
                media.content = MediaKind::Video;
                media.width = media.width.or(video.width.map(u32::from));
                media.height = media.height.or(video.height.map(u32::from));
            }
            Some(CodecParameters::Audio(_)) if media.content == MediaKind::Other => {
                media.content = MediaKind::Sound;
            }
            _ => {}
        }
    }
    media.duration = count(&mut *format);
    (media.content != MediaKind::Other).then_some(media)
}

/// The end of the last packet of all tracks.
fn count(format: &mut (dyn FormatReader + '_)) -> Option<Duration> {
    let kind =
        if format.first_track(TrackType::Audio).is_some() { TrackType::Audio } else { TrackType::Video };
    let track = format.first_track(kind)?;
    let (id, base, start) = (track.id, track.time_base?, track.start_ts);
    let mut units = 0_u64;
    while let Ok(Some(packet)) = format.next_packet() {
        if packet.track_id == id {
            let end = packet.pts.get().saturating_sub(start.get()).max(0).unsigned_abs();
            units = units.max(end.saturating_add(packet.dur.get()));
        }
    }
    let seconds = units as f64 * f64::from(base.numer.get()) / f64::from(base.denom.get());
    Duration::try_from_secs_f64(seconds).ok().filter(|duration| !duration.is_zero())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::super::probe;
    use super::*;

    /// An Opus file with so many channels and 2 s of sound.
    fn opus(channels: u8) -> Vec<u8> {
        let page = |flags: u8, position: u64, sequence: u32, packet: &[u8]| {
            let size = u8::try_from(packet.len()).unwrap();
            let numbers =
                [&position.to_le_bytes()[..], &[1, 0, 0, 0], &sequence.to_le_bytes(), &[0; 4]].concat();
            [b"OggS\0".as_slice(), &[flags], &numbers, &[1, size], packet].concat()
        };
        let head = [b"OpusHead\x01".as_slice(), &[channels], b"\0\0\x80\xbb\0\0\0\0\0"].concat();
        let tags = page(0, 0, 1, b"OpusTags\x01\0\0\0a\0\0\0\0");
        [page(2, 0, 0, &head), tags, page(4, 96_000, 2, &[0xfc, 1, 2])].concat()
    }

    #[test]
    fn opus_without_a_channel_is_a_sound_of_unknown_length() {
        assert_eq!(probe(Cursor::new(opus(1))).duration, Some(Duration::from_secs(2)));
        let silent = probe(Cursor::new(opus(0)));
        assert_eq!((silent.content, silent.duration), (MediaKind::Sound, None));
    }
}
