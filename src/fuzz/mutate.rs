//! Changes inputs: bits, bytes, numbers, fields, lines, lengths and nesting.

use std::ops::Range;

use rand::Rng as _;
use rand::rngs::StdRng;

/// The most bytes of an input. A reader that is slow with more is not what is looked for.
const MOST_BYTES: usize = 64 * 1024;

/// Numbers at the edge of a type or of a common limit, as text.
const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "-1",
    "1",
    "00",
    "1e999",
    "-1e999",
    "1e-400",
    "0.1",
    "NaN",
    "255",
    "256",
    "65535",
    "65536",
    "2147483647",
    "2147483648",
    "-2147483649",
    "4294967295",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "18446744073709551615",
    "18446744073709551616",
    "123456789012345678901234567890",
    "253402300799999",
    "253402300800000",
    "9999-12-31",
    "-009999-01-01",
];

/// The same for numbers in bytes.
const EDGES: &[u64] = &[
    0,
    1,
    2,
    7,
    8,
    0x7f,
    0x80,
    0xff,
    0x100,
    0x7fff,
    0x8000,
    0xffff,
    0x1_0000,
    0x10_0000,
    0x0110_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_fffe,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    0xffff_ffff_ffff_ffff,
];

/// Bytes that are no UTF-8, and letters that are easily taken for others or for none.
const LETTERS: &[&[u8]] = &[
    b"\xff",
    b"\xfe",
    b"\x80",
    b"\xc0\x80",
    b"\xc3",
    b"\xe4\xb8",
    b"\xf0\x9f\x98",
    b"\xed\xa0\x80",
    b"\0",
    b"\r",
    b"\n",
    b"\x1b",
    b"\x7f",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xfe\xff",
    b"\xf4\x90\x80\x80",
    "\u{202e}".as_bytes(),
    "\u{200b}".as_bytes(),
    "\u{2028}".as_bytes(),
    "\u{ff10}".as_bytes(),
    "\u{ff0c}".as_bytes(),
    "İ".as_bytes(),
    "ß".as_bytes(),
    "é".as_bytes(),
    "汉".as_bytes(),
    "😀".as_bytes(),
    "\u{301}".as_bytes(),
    "\\u0000".as_bytes(),
    "\\ud800".as_bytes(),
];

/// What opens and what closes.
const NESTS: &[(&str, &str)] = &[
    ("[", "]"),
    ("{", "}"),
    ("(", ")"),
    ("{\"a\":", "}"),
    ("[{\"a\":[", "]}]"),
    ("\"", "\""),
    ("{{", "}}"),
    ("{% if a %}", "{% endif %}"),
    ("<a>", "</a>"),
    ("-", ""),
    ("not ", ""),
    ("a.", ""),
    ("BEGIN:VEVENT\r\n", "END:VEVENT\r\n"),
    ("[a.", "]"),
    ("{a=", "}"),
];

/// What separates fields.
const SEPARATORS: &[u8] = b",;:\"'\t\r\n{}[]()<>=|/ -.@#`";

/// Makes inputs from other inputs.
pub(super) struct Mutator {
    random: StdRng,
    words: &'static [&'static str],
}

impl Mutator {
    pub(super) fn new(random: StdRng, words: &'static [&'static str]) -> Self {
        Self { random, words }
    }

    /// Returns one of the inputs with at least one change.
    pub(super) fn changed(&mut self, inputs: &[Vec<u8>]) -> Vec<u8> {
        let mut input = self.one(inputs).clone();
        loop {
            let other = self.one(inputs).clone();
            self.change(&mut input, &other);
            input.truncate(MOST_BYTES);
            if self.random.random_bool(0.6) {
                return input;
            }
        }
    }

    fn one<'list, T>(&mut self, list: &'list [T]) -> &'list T {
        &list[self.random.random_range(0..list.len())]
    }

    fn change(&mut self, input: &mut Vec<u8>, other: &[u8]) {
        match self.random.random_range(0..22) {
            0 => self.flip(input),
            1 => self.set_byte(input),
            2 => self.delete(input),
            3 => self.swap(input),
            4 => self.duplicate(input),
            5 | 14 | 15 => self.set_field(input, other),
            6 => self.splice(input, other),
            7 => self.truncate(input),
            8 | 9 => self.set_number(input),
            10 => self.set_digits(input),
            11 => self.set_varint(input),
            12 | 13 => self.insert_word(input),
            16 => self.change_lines(input),
            17 | 18 => self.insert_letter(input),
            19 => self.nest(input),
            20 => self.repeat(input),
            _ => self.insert_bytes(input),
        }
    }

    fn place(&mut self, input: &[u8]) -> usize {
        self.random.random_range(0..=input.len())
    }

    /// Returns a range, usually a short one.
    fn range(&mut self, input: &[u8]) -> Range<usize> {
        let start = self.place(input);
        let rest = input.len() - start;
        let most = if self.random.random_bool(0.8) { rest.min(16) } else { rest };
        start..start + self.random.random_range(0..=most)
    }

    fn flip(&mut self, input: &mut [u8]) {
        if !input.is_empty() {
            let at = self.random.random_range(0..input.len());
            input[at] ^= 1 << self.random.random_range(0..8);
        }
    }

    fn set_byte(&mut self, input: &mut [u8]) {
        if !input.is_empty() {
            let at = self.random.random_range(0..input.len());
            input[at] = if self.random.random_bool(0.5) {
                self.random.random()
            } else {
                *self.one(&[0, 1, 0x7f, 0x80, 0xff])
            };
        }
    }

    fn insert(&mut self, input: &mut Vec<u8>, bytes: &[u8]) {
        let at = self.place(input);
        input.splice(at..at, bytes.iter().copied());
    }

    fn insert_bytes(&mut self, input: &mut Vec<u8>) {
        let count = self.random.random_range(1..8);
        let bytes: Vec<u8> = (0..count).map(|_| self.random.random()).collect();
        self.insert(input, &bytes);
    }

    fn delete(&mut self, input: &mut Vec<u8>) {
        let range = self.range(input);
        input.drain(range);
    }

    fn duplicate(&mut self, input: &mut Vec<u8>) {
        let range = self.range(input);
        let copy = input[range.clone()].to_vec();
        input.splice(range.end..range.end, copy);
    }

    fn swap(&mut self, input: &mut Vec<u8>) {
        let moved = self.range(input);
        let part: Vec<u8> = input.drain(moved).collect();
        self.insert(input, &part);
    }

    fn splice(&mut self, input: &mut Vec<u8>, other: &[u8]) {
        let (range, from) = (self.range(input), self.range(other));
        if self.random.random_bool(0.5) {
            input.splice(range, other[from].iter().copied());
        } else {
            input.truncate(range.start);
            input.extend_from_slice(&other[from.start..]);
        }
    }

    fn truncate(&mut self, input: &mut Vec<u8>) {
        let length = self.place(input);
        input.truncate(length);
    }

    /// Sets a number of 1 to 8 bytes, such as a length, in either order of bytes.
    fn set_number(&mut self, input: &mut [u8]) {
        let width = *self.one(&[1, 2, 4, 8]);
        if input.len() < width {
            return;
        }
        let at = self.random.random_range(0..=input.len() - width);
        let field = &mut input[at..at + width];
        let mut bytes = [0; 8];
        bytes[..width].copy_from_slice(field);
        let is_little = self.random.random_bool(0.5);
        let value = match self.random.random_range(0..3) {
            0 => *self.one(EDGES),
            1 => u64::from_le_bytes(bytes).wrapping_add(self.random.random_range(0..=2)).wrapping_sub(1),
            _ => *self.one(&[16, 24, 32, 1000, 0xff00_0000, 0x0010_0000]),
        };
        if is_little {
            field.copy_from_slice(&value.to_le_bytes()[..width]);
        } else {
            field.copy_from_slice(&value.to_be_bytes()[8 - width..]);
        }
    }

    /// Puts a length as postcard writes it: seven bits a byte.
    fn set_varint(&mut self, input: &mut Vec<u8>) {
        let mut value = *self.one(EDGES);
        let mut bytes = Vec::new();
        loop {
            let byte = value.to_le_bytes()[0] & 0x7f;
            value >>= 7;
            if value == 0 {
                bytes.push(byte);
                break;
            }
            bytes.push(byte | 0x80);
        }
        let at = self.place(input);
        let replaced = self.random.random_range(0..=1).min(input.len() - at);
        input.splice(at..at + replaced, bytes);
    }

    /// Replaces digits by another number.
    fn set_digits(&mut self, input: &mut Vec<u8>) {
        let number = self.one(NUMBERS).as_bytes();
        let from = self.place(input);
        match input[from..].iter().position(u8::is_ascii_digit) {
            Some(offset) => {
                let start = from + offset;
                let length = input[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                input.splice(start..start + length, number.iter().copied());
            }
            None => self.insert(input, number),
        }
    }

    fn word(&mut self) -> Vec<u8> {
        match self.random.random_range(0..4) {
            0 => self.one(NUMBERS).as_bytes().to_vec(),
            1 => vec![*self.one(SEPARATORS)],
            _ if !self.words.is_empty() => self.one(self.words).as_bytes().to_vec(),
            _ => self.one(LETTERS).to_vec(),
        }
    }

    fn insert_word(&mut self, input: &mut Vec<u8>) {
        let word = self.word();
        self.insert(input, &word);
    }

    /// Returns the field around a place: what stands between two separators.
    fn field(&mut self, input: &[u8]) -> Range<usize> {
        let at = self.place(input);
        let is_separator = |byte: &u8| SEPARATORS.contains(byte);
        let start = input[..at].iter().rposition(is_separator).map_or(0, |before| before + 1);
        let end = input[at..].iter().position(is_separator).map_or(input.len(), |after| at + after);
        start..end
    }

    fn set_field(&mut self, input: &mut Vec<u8>, other: &[u8]) {
        let field = self.field(input);
        let by = match self.random.random_range(0..4) {
            0 => Vec::new(),
            1 => {
                let from = self.field(other);
                other[from].to_vec()
            }
            _ => self.word(),
        };
        input.splice(field, by);
    }

    /// Leaves out a line, doubles it or exchanges it with another one.
    fn change_lines(&mut self, input: &mut Vec<u8>) {
        let mut lines: Vec<Vec<u8>> =
            input.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        if lines.is_empty() {
            return;
        }
        let (one, two) = (self.random.random_range(0..lines.len()), self.random.random_range(0..lines.len()));
        match self.random.random_range(0..3) {
            0 => drop(lines.remove(one)),
            1 => lines.insert(two, lines[one].clone()),
            _ => lines.swap(one, two),
        }
        *input = lines.concat();
    }

    /// Nests a part, often very deep.
    fn nest(&mut self, input: &mut Vec<u8>) {
        let (open, close) = *self.one(NESTS);
        let depth = *self.one(&[1, 2, 50, 127, 128, 129, 1000, 5000, 20_000]);
        let depth = depth.min(MOST_BYTES / (open.len() + close.len()));
        let range = self.range(input);
        let closes = self.random.random_bool(0.7);
        let close = if closes { close.repeat(depth) } else { String::new() };
        let nested = [open.repeat(depth).as_bytes(), &input[range.clone()], close.as_bytes()].concat();
        input.splice(range, nested);
    }

    fn insert_letter(&mut self, input: &mut Vec<u8>) {
        let letter = *self.one(LETTERS);
        self.insert(input, letter);
    }

    /// Repeats a part, often very often.
    fn repeat(&mut self, input: &mut Vec<u8>) {
        let range = self.range(input);
        let Some(most) = MOST_BYTES.checked_div(range.len()) else { return };
        let times = (*self.one(&[2, 3, 10, 100, 1000, 10_000, 65_536])).min(most);
        let repeated = input[range.clone()].repeat(times);
        input.splice(range, repeated);
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn one_seed_makes_the_same_inputs_and_none_is_too_long() {
        let inputs = [b"{\"a\": [1, 2]}\nline".to_vec(), Vec::new()];
        let all = |seed: u64| -> Vec<Vec<u8>> {
            let mut mutator = Mutator::new(StdRng::seed_from_u64(seed), &["word"]);
            (0..2000).map(|_| mutator.changed(&inputs)).collect()
        };
        let made = all(7);
        assert_eq!(made, all(7));
        assert_ne!(made, all(8));
        assert!(made.iter().all(|input| input.len() <= MOST_BYTES));
        let distinct: std::collections::HashSet<&Vec<u8>> = made.iter().collect();
        assert!(distinct.len() > 1000, "{}", distinct.len());
    }
}
