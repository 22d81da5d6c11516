//! Reads the boxes of MP4, MOV, HEIF and related formats (ISO/IEC 14496-12).

use std::io::{Read, Seek, SeekFrom};

/// The most boxes that are read, so that a file of a million empty boxes takes little time.
const BOXES: usize = 100_000;
/// The longest table that is read, in bytes.
const TABLE_BYTES: u64 = 4 * 1024 * 1024;

/// A box: its kind, and the place of its contents.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mp4Box {
    pub(super) kind: [u8; 4],
    pub(super) start: u64,
    pub(super) end: u64,
}

/// Reads one box after another.
pub(super) struct BoxReader<'a, R> {
    reader: &'a mut R,
    boxes: usize,
}

impl<'a, R: Read + Seek> BoxReader<'a, R> {
    pub(super) fn new(reader: &'a mut R) -> Self {
        Self { reader, boxes: BOXES }
    }

    pub(super) fn bytes<const N: usize>(&mut self, place: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.reader.seek(SeekFrom::Start(place)).ok()?;
        self.reader.read_exact(&mut bytes).ok()?;
        Some(bytes)
    }

    pub(super) fn u32(&mut self, place: u64) -> Option<u32> {
        self.bytes(place).map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self, place: u64) -> Option<u64> {
        self.bytes(place).map(u64::from_be_bytes)
    }

    /// The 32-bit words from `place` to the end of a box.
    pub(super) fn words(&mut self, place: u64, end: u64) -> Option<Vec<u32>> {
        let length = end.checked_sub(place).filter(|length| *length <= TABLE_BYTES)?;
        self.reader.seek(SeekFrom::Start(place)).ok()?;
        let mut bytes = Vec::new();
        self.reader.by_ref().take(length).read_to_end(&mut bytes).ok()?;
        Some(bytes.as_chunks::<4>().0.iter().map(|word| u32::from_be_bytes(*word)).collect())
    }

    pub(super) fn next(&mut self, place: u64, end: u64) -> Option<Mp4Box> {
        self.boxes = self.boxes.checked_sub(1)?;
        let kind = self.bytes(place.checked_add(4)?)?;
        let (head, size) = match self.u32(place)? {
            0 => (8, end.checked_sub(place)?),
            1 => (16, self.u64(place.checked_add(8)?)?),
            size => (8, u64::from(size)),
        };
        let stop = place.checked_add(size)?;
        (size >= head && stop <= end).then_some(Mp4Box { kind, start: place + head, end: stop })
    }

    /// The first box of a kind between two places.
    pub(super) fn find(&mut self, kind: [u8; 4], mut place: u64, end: u64) -> Option<Mp4Box> {
        loop {
            let found = self.next(place, end)?;
            if found.kind == kind {
                return Some(found);
            }
            place = found.end;
        }
    }

    /// The first box of a kind within another box.
    pub(super) fn within(&mut self, kind: [u8; 4], outer: Mp4Box) -> Option<Mp4Box> {
        self.find(kind, outer.start, outer.end)
    }
}
