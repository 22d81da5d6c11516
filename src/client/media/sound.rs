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
    let options = ParseOptions::new().read_tags(false).read_cover_art(false);
    let file = Probe::new(reader).options(options).guess_file_type().ok()?.read().ok()?;
    let duration = file.properties().duration();
    (!duration.is_zero()).then_some(MediaInfo {
        content: MediaKind::Sound,
        duration: Some(duration),
        ..MediaInfo::default()
    })
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
