//! Encodes values into frames and decodes them.

use std::marker::PhantomData;

use bytes::{Buf, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The most bytes of one frame: a file or an answer of 16 `MiB` and its envelope.
pub const MAX_FRAME: usize = 17 * 1024 * 1024;

const HEADER: usize = 4;

/// An empty buffer is kept up to this capacity in bytes.
const KEPT: usize = 256 * 1024;

/// Why a frame is refused.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    /// A length over [`MAX_FRAME`].
    #[error("a frame of {0} bytes is over the limit of {MAX_FRAME} bytes")]
    TooLarge(usize),
    /// Bytes that do not decode as the expected type.
    #[error("a frame that cannot be read: {0}")]
    Malformed(#[from] postcard::Error),
}

/// Appends `value` to `out` as one frame. On an error `out` is unchanged.
///
/// # Errors
///
/// [`ProtocolError::TooLarge`] if the frame would exceed [`MAX_FRAME`] bytes.
pub fn encode<T: Serialize>(value: &T, out: &mut Vec<u8>) -> Result<(), ProtocolError> {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER]);
    let written = match postcard::to_io(value, &mut *out) {
        Ok(_) => out.len() - start - HEADER,
        Err(error) => {
            out.truncate(start);
            return Err(error.into());
        }
    };
    match u32::try_from(written) {
        Ok(length) if written <= MAX_FRAME => {
            out[start..start + HEADER].copy_from_slice(&length.to_le_bytes());
            Ok(())
        }
        _ => {
            out.truncate(start);
            Err(ProtocolError::TooLarge(written))
        }
    }
}

/// Collects received bytes and decodes the complete frames among them.
#[derive(Debug)]
pub struct FrameDecoder<T> {
    buffer: BytesMut,
    taken: usize,
    kind: PhantomData<fn() -> T>,
}

impl<T> Default for FrameDecoder<T> {
    fn default() -> Self {
        Self { buffer: BytesMut::new(), taken: 0, kind: PhantomData }
    }
}

impl<T: DeserializeOwned> FrameDecoder<T> {
    /// Returns the buffer that the next bytes are read into.
    pub const fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Reserves room for the next bytes: at most `most`, and not more than the frame in the buffer still needs. More
    /// room would double a buffer that a large frame just fills.
    pub fn make_room(&mut self, most: usize) {
        let missing = self.missing();
        self.buffer.reserve(if missing == 0 { most } else { missing.min(most) });
    }

    /// Decodes the next complete frame. Returns None if there is none yet.
    pub fn take(&mut self) -> Result<Option<T>, ProtocolError> {
        let Some(header) = self.buffer.first_chunk::<HEADER>() else { return Ok(None) };
        let length = u32::from_le_bytes(*header) as usize;
        if length > MAX_FRAME {
            return Err(ProtocolError::TooLarge(length));
        }
        if self.buffer.len() < HEADER + length {
            return Ok(None);
        }
        let value = postcard::from_bytes(&self.buffer[HEADER..HEADER + length]);
        self.buffer.advance(HEADER + length);
        if self.buffer.is_empty() && self.buffer.capacity() > KEPT {
            self.buffer = BytesMut::new();
        }
        self.taken = HEADER + length;
        Ok(Some(value?))
    }

    /// Returns the bytes of the frame that [`FrameDecoder::take`] returned last.
    pub const fn taken(&self) -> usize {
        self.taken
    }

    /// Returns how many bytes of the incomplete frame in the buffer are missing; 0 if the buffer is empty.
    pub fn missing(&self) -> usize {
        let length =
            self.buffer.first_chunk::<HEADER>().map_or(0, |header| u32::from_le_bytes(*header) as usize);
        (HEADER + length).saturating_sub(self.buffer.len().max(HEADER))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{HostRequest, HostResponse, ToHost, ToWorker};
    use super::*;

    #[test]
    fn frames_come_out_as_they_went_in_however_they_are_cut() {
        let mut wire = Vec::new();
        for id in 0..50 {
            encode(&ToHost::Request(id, HostRequest::Sleep { ms: id * 1000 }), &mut wire).unwrap();
        }
        for cut in [1, 3, 7, 64, wire.len()] {
            let mut frames = FrameDecoder::<ToHost>::default();
            let mut seen = 0;
            for piece in wire.chunks(cut) {
                frames.buffer().extend_from_slice(piece);
                while let Some(frame) = frames.take().unwrap() {
                    assert!(
                        matches!(frame, ToHost::Request(id, HostRequest::Sleep { ms }) if id == seen && ms == id * 1000)
                    );
                    seen += 1;
                }
            }
            assert_eq!(seen, 50);
        }
    }

    #[test]
    fn a_large_frame_takes_one_buffer_of_its_size() {
        let content = 8_000_000;
        let mut wire = Vec::new();
        encode(&ToWorker::Answer(1, HostResponse::Bytes(vec![7; content].into())), &mut wire).unwrap();
        let mut frames = FrameDecoder::<ToWorker>::default();
        let (mut most, mut read) = (0, 0);
        while read < wire.len() {
            frames.make_room(64 * 1024);
            if frames.missing() > 64 * 1024 {
                let missing = frames.missing();
                frames.buffer().reserve(missing);
            }
            let room = frames.buffer().capacity() - frames.buffer().len();
            let piece = room.min(wire.len() - read).min(60_000);
            assert!(piece > 0);
            frames.buffer().extend_from_slice(&wire[read..read + piece]);
            read += piece;
            most = most.max(frames.buffer().capacity());
        }
        assert!(most < content + 256 * 1024, "{most}");
        assert!(frames.take().unwrap().is_some() && frames.buffer().is_empty());
    }

    #[test]
    fn a_frame_over_the_cap_is_refused_at_both_ends() {
        let mut wire = vec![7];
        let answer = ToWorker::Answer(1, HostResponse::Bytes(vec![0; MAX_FRAME].into()));
        assert!(matches!(encode(&answer, &mut wire), Err(ProtocolError::TooLarge(_))));
        assert_eq!(wire, [7]);
        let mut frames = FrameDecoder::<ToHost>::default();
        frames.buffer().extend_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(frames.take(), Err(ProtocolError::TooLarge(_))));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_host_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut wire = u32::try_from(bytes.len()).unwrap().to_le_bytes().to_vec();
            wire.extend_from_slice(&bytes);
            let mut frames = FrameDecoder::<ToHost>::default();
            frames.buffer().extend_from_slice(&wire);
            while let Ok(Some(_)) = frames.take() {}
        }

        #[test]
        fn a_flipped_byte_is_an_error_or_another_frame(at in 0usize..60, flip in 1u8..) {
            let mut wire = Vec::new();
            let request = HostRequest::FileWrite { path: "a/b".into(), content: "text".into(), append: true };
            encode(&ToHost::Request(300, request), &mut wire).unwrap();
            let at = at % wire.len();
            wire[at] ^= flip;
            let mut frames = FrameDecoder::<ToHost>::default();
            frames.buffer().extend_from_slice(&wire);
            while let Ok(Some(_)) = frames.take() {}
        }
    }
}
