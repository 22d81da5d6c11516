//! Positions in texts.

/// A position in a text: line and character, both counted from 1. CR, LF and CR LF each end a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) line: u64,
    pub(super) column: u64,
    after_return: bool,
}

impl Default for Position {
    fn default() -> Self {
        Self { line: 1, column: 1, after_return: false }
    }
}

impl Position {
    /// Moves past this text, which is UTF-8.
    pub(super) fn pass(&mut self, text: &[u8]) {
        for &byte in text {
            match byte {
                b'\n' if self.after_return => self.after_return = false,
                b'\n' | b'\r' => {
                    self.line += 1;
                    self.column = 1;
                    self.after_return = byte == b'\r';
                }
                _ => {
                    self.after_return = false;
                    // Continuation bytes do not count as characters.
                    self.column += u64::from(byte & 0xc0 != 0x80);
                }
            }
        }
    }
}
