//! The first and the last lines of a run's output, until they are written.

use std::collections::VecDeque;
use std::time::Duration;

use crate::ledger::{NewOutput, OutputPart, OutputStream, OutputWrite};

/// The bytes that are kept of the beginning of a run's output, and again of its end, in their stored form.
pub(super) const KEPT: usize = 64 * 1024;

/// The most bytes of a line. The rest is another line.
pub(super) const LONGEST_LINE: usize = 8 * 1024;

/// The size from which a part takes no further line.
const PART: usize = 16 * 1024;

/// What one write has: the parts, and the lines between which stored parts are deleted.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Unwritten {
    pub(super) parts: Vec<NewOutput>,
    pub(super) left_out: Option<(u64, u64)>,
}

impl Unwritten {
    pub(super) const fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.left_out.is_none()
    }

    /// Adds what came after this, which could not be written.
    pub(super) fn extend(&mut self, later: Self) {
        self.parts.extend(later.parts);
        self.left_out = later.left_out.or(self.left_out);
        if let Some((after, before)) = self.left_out {
            self.parts.retain(|part| part.first_line <= after || part.first_line >= before);
        }
    }
}

/// A line that is not written yet.
#[derive(Debug)]
struct Line {
    number: u64,
    at_byte: u64,
    bytes: u64,
    stored: String,
}

/// The output of a run that is not written yet, and the places of what is.
#[derive(Debug, Default)]
pub(super) struct OutputBuffer {
    lines: u64,
    bytes: u64,
    /// The stored bytes of the first lines, and the number of the last of them once one did not fit.
    head: usize,
    head_end: Option<u64>,
    new_head: Vec<Line>,
    new_tail: VecDeque<Line>,
    new_tail_size: usize,
    /// The first line and the size of each written part after the first lines.
    tail: VecDeque<(u64, usize)>,
}

impl OutputBuffer {
    /// Goes on after the stored output of an earlier attempt.
    pub(super) fn after(stored: &[OutputPart]) -> Self {
        let mut buffer = Self::default();
        let size = |part: &OutputPart| usize::try_from(part.size).unwrap_or(usize::MAX);
        for part in stored {
            let follows = part.first_line == buffer.lines + 1;
            if buffer.head_end.is_none() && follows && buffer.head + size(part) <= KEPT + PART {
                buffer.head += size(part);
            } else {
                buffer.head_end.get_or_insert(buffer.lines);
                buffer.tail.push_back((part.first_line, size(part)));
            }
            (buffer.lines, buffer.bytes) =
                (part.first_line + part.lines.saturating_sub(1), part.at_byte + part.bytes);
        }
        buffer
    }

    /// Adds a line; one that is too long becomes several.
    pub(super) fn add(&mut self, at: Duration, stream: OutputStream, text: &str) {
        let mut rest = text;
        loop {
            let (line, more) = rest.split_at(rest.floor_char_boundary(LONGEST_LINE));
            self.add_line(at, stream, line);
            if more.is_empty() {
                return;
            }
            rest = more;
        }
    }

    fn add_line(&mut self, at: Duration, stream: OutputStream, text: &str) {
        let stored = OutputWrite::line(at, stream, text);
        let size = stored.len() + 1;
        self.lines += 1;
        let line = Line { number: self.lines, at_byte: self.bytes, bytes: text.len() as u64 + 1, stored };
        self.bytes += line.bytes;
        if self.head_end.is_none() && self.head + size <= KEPT {
            self.head += size;
            self.new_head.push(line);
            return;
        }
        self.head_end.get_or_insert(line.number - 1);
        self.new_tail_size += size;
        self.new_tail.push_back(line);
        while let Some(first) = self.new_tail.front()
            && self.new_tail_size - (first.stored.len() + 1) >= KEPT
        {
            self.new_tail_size -= first.stored.len() + 1;
            self.new_tail.pop_front();
        }
    }

    /// Takes out what is to be written now.
    pub(super) fn take(&mut self) -> Unwritten {
        let mut parts = in_parts(self.new_head.drain(..));
        let head_parts = parts.len();
        parts.extend(in_parts(self.new_tail.drain(..)));
        self.new_tail_size = 0;
        let of_tail = parts.iter().skip(head_parts);
        self.tail.extend(of_tail.map(|part| (part.first_line, part.content.len() + 2)));
        let mut size: usize = self.tail.iter().map(|(_, size)| size).sum();
        let mut left_out = None;
        while let Some((_, first)) = self.tail.front()
            && size - first >= KEPT
        {
            size -= first;
            self.tail.pop_front();
            let next = self.tail.front().map(|(line, _)| *line);
            left_out = self.head_end.zip(next);
        }
        let mut taken = Unwritten::default();
        taken.extend(Unwritten { parts, left_out });
        taken
    }
}

/// Joins lines that follow each other to parts.
fn in_parts(lines: impl Iterator<Item = Line>) -> Vec<NewOutput> {
    let mut parts: Vec<NewOutput> = Vec::new();
    for line in lines {
        match parts.last_mut() {
            Some(part) if part.content.len() < PART => {
                part.lines += 1;
                part.bytes += line.bytes;
                part.content.push(',');
                part.content.push_str(&line.stored);
            }
            _ => parts.push(NewOutput {
                first_line: line.number,
                lines: 1,
                at_byte: line.at_byte,
                bytes: line.bytes,
                content: line.stored,
            }),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// The parts as a store keeps them.
    #[derive(Default)]
    struct Store(BTreeMap<u64, NewOutput>);

    impl Store {
        fn write(&mut self, unwritten: Unwritten) {
            for part in unwritten.parts {
                self.0.entry(part.first_line).or_insert(part);
            }
            if let Some((after, before)) = unwritten.left_out {
                self.0.retain(|first, _| *first <= after || *first >= before);
            }
        }

        fn size(&self) -> usize {
            self.0.values().map(|part| part.content.len() + 2).sum()
        }

        fn texts(&self) -> Vec<(u64, String)> {
            let of = |part: &NewOutput| {
                let lines: Vec<(i64, OutputStream, String)> =
                    serde_json::from_str(&format!("[{}]", part.content)).unwrap();
                assert_eq!(lines.len() as u64, part.lines);
                let bytes: u64 = lines.iter().map(|(.., text)| text.len() as u64 + 1).sum();
                assert_eq!(bytes, part.bytes);
                (part.first_line..).zip(lines.into_iter().map(|(.., text)| text)).collect::<Vec<_>>()
            };
            self.0.values().flat_map(of).collect()
        }
    }

    proptest! {
        /// However lines come, writes fail and attempts change: the store has the first and the last lines, each under
        /// its number, and its size is bounded.
        #[test]
        fn the_first_and_the_last_lines_are_kept(
            turns in prop::collection::vec((prop::collection::vec(0_usize..20_000, 0..60), 0_u8..4), 1..20),
        ) {
            let (mut buffer, mut store, mut waiting) =
                (OutputBuffer::default(), Store::default(), Unwritten::default());
            let mut all: Vec<String> = Vec::new();
            for (lengths, what) in turns {
                for length in lengths {
                    let text = format!("{}{}", all.len(), "é".repeat(length / 2));
                    buffer.add(Duration::ZERO, OutputStream::Print, &text);
                    let mut rest = text.as_str();
                    loop {
                        let (line, more) = rest.split_at(rest.floor_char_boundary(LONGEST_LINE));
                        all.push(line.to_owned());
                        rest = more;
                        if rest.is_empty() {
                            break;
                        }
                    }
                }
                waiting.extend(buffer.take());
                if what > 0 {
                    store.write(std::mem::take(&mut waiting));
                }
                if what > 2 {
                    let parts: Vec<OutputPart> = store.0.values().map(|part| OutputPart {
                        first_line: part.first_line,
                        lines: part.lines,
                        at_byte: part.at_byte,
                        bytes: part.bytes,
                        size: part.content.len() as u64 + 2,
                    }).collect();
                    buffer = OutputBuffer::after(&parts);
                }
            }
            waiting.extend(buffer.take());
            store.write(waiting);
            let texts = store.texts();
            for (number, text) in &texts {
                prop_assert_eq!(text, &all[usize::try_from(number - 1).unwrap()]);
            }
            prop_assert!(store.size() <= 2 * KEPT + 6 * PART, "{}", store.size());
            let kept = |lines: &mut dyn Iterator<Item = &String>, from: &dyn Fn(usize) -> u64| {
                let mut size = 0;
                for (index, line) in lines.enumerate() {
                    size += OutputWrite::line(Duration::ZERO, OutputStream::Print, line).len() + 1;
                    if size > KEPT - LONGEST_LINE {
                        break;
                    }
                    assert!(texts.iter().any(|(number, _)| *number == from(index)), "{index} of {}", all.len());
                }
            };
            kept(&mut all.iter(), &|index| index as u64 + 1);
            kept(&mut all.iter().rev(), &|index| (all.len() - index) as u64);
        }
    }
}
