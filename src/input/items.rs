//! Reads the values of a JSON list or of JSON lines, one by one.

use serde_json::Value;

use super::LONGEST;
use super::fault::InputError;
use super::json;
use super::position::Position;
use super::text::BlockSource;

/// A value with its line, or the fault of that value.
pub(super) struct InputItem {
    pub(super) line: u64,
    pub(super) value: Result<Value, InputError>,
}

/// Reads the values of a text.
pub(super) struct ItemReader<S> {
    pub(super) source: S,
    form: ItemsState,
    position: Position,
    pub(super) blank: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ItemsState {
    /// One value per line.
    Lines,
    /// One list: before it, before its first item, after a comma, and at its end.
    Before,
    First,
    Next,
    After,
}

impl<S: BlockSource> ItemReader<S> {
    /// Reads a text with one value per line.
    pub(super) fn lines(source: S) -> Self {
        Self { source, form: ItemsState::Lines, position: Position::default(), blank: 0 }
    }

    /// Reads a text that is one list.
    pub(super) fn list(source: S) -> Self {
        Self { form: ItemsState::Before, ..Self::lines(source) }
    }

    /// Returns the next value.
    pub(super) fn advance(&mut self) -> Result<Option<InputItem>, InputError> {
        if self.form == ItemsState::Lines { self.line() } else { self.item() }
    }

    fn peek(&mut self) -> Result<Option<u8>, InputError> {
        Ok(self.source.block()?.first().copied())
    }

    fn pass(&mut self) -> Result<(), InputError> {
        if let Some(byte) = self.peek()? {
            self.position.pass(&[byte]);
            self.source.consume(1);
        }
        Ok(())
    }

    fn line(&mut self) -> Result<Option<InputItem>, InputError> {
        let mut text = Vec::new();
        loop {
            let start = self.position;
            text.clear();
            let mut ended = false;
            while !ended {
                let block = self.source.block()?;
                if block.is_empty() {
                    break;
                }
                let length = block.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
                let part = &block[..length.unwrap_or(block.len())];
                text.extend_from_slice(part);
                self.position.pass(part);
                let count = part.len();
                self.source.consume(count);
                if text.len() > LONGEST {
                    return Err(InputError::line(start.line, format!("longer than {LONGEST} bytes")));
                }
                ended = length.is_some();
            }
            if ended {
                self.pass_line_end()?;
            }
            if text.iter().any(|byte| !byte.is_ascii_whitespace()) {
                let value = json::decode_from(&text, start);
                return Ok(Some(InputItem { line: start.line, value }));
            }
            if !ended {
                return Ok(None);
            }
            self.blank += 1;
        }
    }

    fn pass_line_end(&mut self) -> Result<(), InputError> {
        let first = self.peek()?;
        self.pass()?;
        if first == Some(b'\r') && self.peek()? == Some(b'\n') {
            self.pass()?;
        }
        Ok(())
    }

    fn wrong<T>(&self, what: impl Into<String>) -> Result<T, InputError> {
        Err(InputError::at(self.position.line, format!("character {}", self.position.column), what))
    }

    /// Returns the next item of the list, found only by its brackets and quotes.
    fn item(&mut self) -> Result<Option<InputItem>, InputError> {
        if self.form == ItemsState::Before {
            self.blanks()?;
            if self.peek()? != Some(b'[') {
                return self.wrong("the file is not a JSON list of recipients: it does not begin with `[`");
            }
            self.pass()?;
            self.form = ItemsState::First;
        }
        if self.form == ItemsState::After {
            return Ok(None);
        }
        self.blanks()?;
        if self.form == ItemsState::First && self.peek()? == Some(b']') {
            self.pass()?;
            return self.end().map(|()| None);
        }
        let start = self.position;
        let text = self.item_text(start)?;
        let closes = self.peek()? == Some(b']');
        self.pass()?;
        self.form = ItemsState::Next;
        if closes {
            self.end()?;
        }
        Ok(Some(InputItem { line: start.line, value: json::decode_from(&text, start) }))
    }

    /// Returns the text up to the comma or bracket after the item.
    fn item_text(&mut self, start: Position) -> Result<Vec<u8>, InputError> {
        let (mut text, mut depth, mut quoted, mut escaped) = (Vec::new(), 0_u32, false, false);
        loop {
            let block = self.source.block()?;
            if block.is_empty() {
                return self.wrong("the list ends without its `]`");
            }
            let mut used = 0;
            let mut ended = false;
            for &byte in block {
                match byte {
                    _ if escaped => escaped = false,
                    b'\\' if quoted => escaped = true,
                    b'"' => quoted = !quoted,
                    _ if quoted => {}
                    b',' | b']' if depth == 0 => {
                        ended = true;
                        break;
                    }
                    b'[' | b'{' => depth += 1,
                    b']' | b'}' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                used += 1;
            }
            text.extend_from_slice(&block[..used]);
            self.position.pass(&block[..used]);
            self.source.consume(used);
            if text.len() > LONGEST {
                return Err(InputError::line(start.line, format!("longer than {LONGEST} bytes")));
            }
            if ended {
                return Ok(text);
            }
        }
    }

    fn blanks(&mut self) -> Result<(), InputError> {
        while self.peek()?.is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.pass()?;
        }
        Ok(())
    }

    /// Checks that nothing follows the list.
    fn end(&mut self) -> Result<(), InputError> {
        self.form = ItemsState::After;
        self.blanks()?;
        match self.peek()? {
            None => Ok(()),
            Some(_) => self
                .wrong("text after the end of the list; a file holds one list, so put all into one `[ … ]`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str, list: bool) -> Result<Vec<(u64, Value)>, String> {
        let mut items =
            if list { ItemReader::list(text.as_bytes()) } else { ItemReader::lines(text.as_bytes()) };
        let mut all = Vec::new();
        while let Some(item) = items.advance().map_err(|fault| fault.to_string())? {
            all.push((item.line, item.value.map_err(|fault| fault.to_string())?));
        }
        Ok(all)
    }

    #[test]
    fn items_come_with_their_lines() {
        let text = "\n[\"a,]\\\"\",\n {\"x\": [1, \"}\"]} ,\r\n3\n]\n";
        let items = all(text, true).unwrap();
        assert_eq!(items.iter().map(|item| item.0).collect::<Vec<_>>(), [2, 3, 4]);
        assert_eq!(items[0].1, "a,]\"");
        assert!(all("[ ]", true).unwrap().is_empty());
        let items = all("\n\"a\"\r\n\r{\"b\":1}\n\n3", false).unwrap();
        assert_eq!(items.iter().map(|item| item.0).collect::<Vec<_>>(), [2, 4, 6]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, list, says) in [
            ("[\"a\"]\n[\"b\"]\n", true, "line 2, character 1: text after the end of the list"),
            ("[1,]", true, "it is not JSON"),
            ("[,1]", true, "it is not JSON"),
            ("[1 2]", true, "line 1, character 4: text after the end"),
            ("[1\n", true, "line 2, character 1: the list ends without"),
            ("{}", true, "not a JSON list"),
            ("", true, "not a JSON list"),
            ("[1]}", true, "text after the end"),
            ("[{\"a\":1,\n\"a\":2}]", true, "line 2, character 3: the key \"a\" appears twice"),
            ("1 2\n", false, "line 1, character 3: text after the end"),
            ("1\n{\"a\":1,\"a\":2}", false, "line 2, character"),
        ] {
            let error = all(text, list).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
