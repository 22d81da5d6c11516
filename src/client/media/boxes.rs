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

    pub(super) fn bytes<const N: usize>(&mut self, position: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.reader.seek(SeekFrom::Start(position)).ok()?;
        self.reader.read_exact(&mut bytes).ok()?;
        Some(bytes)
    }

    pub(super) fn u32(&mut self, position: u64) -> Option<u32> {
        self.bytes(position).map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self, position: u64) -> Option<u64> {
        self.bytes(position).map(u64::from_be_bytes)
    }

    /// The 32-bit words from `position` to the end of a box.
    pub(super) fn words(&mut self, position: u64, end: u64) -> Option<Vec<u32>> {
        let length = end.checked_sub(position).filter(|length| *length <= TABLE_BYTES)?;
        self.reader.seek(SeekFrom::Start(position)).ok()?;
        let mut bytes = Vec::new();
        self.reader.by_ref().take(length).read_to_end(&mut bytes).ok()?;
        Some(bytes.as_chunks::<4>().0.iter().map(|word| u32::from_be_bytes(*word)).collect())
    }

    pub(super) fn next(&mut self, position: u64, end: u64) -> Option<Mp4Box> {
        self.boxes = self.boxes.checked_sub(1)?;
        let kind = self.bytes(position.checked_add(4)?)?;
        let (head, size) = match self.u32(position)? {
            0 => (8, end.checked_sub(position)?),
            1 => (16, self.u64(position.checked_add(8)?)?),
            size => (8, u64::from(size)),
        };
        let stop = position.checked_add(size)?;
        (size >= head && stop <= end).then_some(Mp4Box { kind, start: position + head, end: stop })
    }

    /// The first box of a kind between two places.
    pub(super) fn find(&mut self, kind: [u8; 4], mut position: u64, end: u64) -> Option<Mp4Box> {
        loop {
            let found = self.next(position, end)?;
            if found.kind == kind {
                return Some(found);
            }
            position = found.end;
        }
    }

    /// The first box of a kind within another box.
    pub(super) fn within(&mut self, kind: [u8; 4], outer: Mp4Box) -> Option<Mp4Box> {
        self.find(kind, outer.start, outer.end)
    }
}
