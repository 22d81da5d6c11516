//! Reads a text in any encoding as UTF-8, block by block.

use std::io::{Read, Seek};

use encoding_rs::{Decoder, DecoderResult, Encoding};

use super::detect::detect;
use super::fault::InputError;
use super::options::{AudienceOptions, NamedEncoding};
use super::position::Position;

/// Bytes that are read at once.
const BLOCK: usize = 1 << 15;

/// A source of text: blocks of UTF-8 with complete characters.
pub(super) trait BlockSource {
    /// Returns the text that is not consumed yet. It is empty only at the end.
    fn block(&mut self) -> Result<&[u8], InputError>;

    /// Consumes the first `count` bytes of the block.
    fn consume(&mut self, count: usize);
}

impl BlockSource for &[u8] {
    fn block(&mut self) -> Result<&[u8], InputError> {
        Ok(self)
    }

    fn consume(&mut self, count: usize) {
        *self = &self[count.min(self.len())..];
    }
}

/// A text whose encoding is known.
pub struct TextReader<R> {
    source: R,
    decoder: Decoder,
    encoding: &'static Encoding,
    raw: Box<[u8]>,
    raw_at: usize,
    raw_end: usize,
    source_ended: bool,
    ended: bool,
    decoded: Vec<u8>,
    at: usize,
    /// The position at the end of the decoded text.
    position: Position,
    fault: Option<InputError>,
}

impl<R: Read + Seek> TextReader<R> {
    /// Opens a text and detects its encoding, unless `options` names it.
    pub fn open(mut source: R, options: &AudienceOptions) -> Result<Self, InputError> {
        let named = options.encoding.as_deref().map(NamedEncoding::of).transpose()?;
        let found = detect(&mut source, named)?;
        Ok(Self {
            source,
            decoder: found.encoding.new_decoder_without_bom_handling(),
            encoding: found.encoding,
            raw: vec![0; BLOCK].into_boxed_slice(),
            raw_at: 0,
            raw_end: 0,
            source_ended: false,
            ended: false,
            decoded: Vec::new(),
            at: 0,
            position: Position::default(),
            fault: None,
        })
    }
}

impl<R: Read> TextReader<R> {
    /// Returns the usual name of the encoding.
    pub fn encoding(&self) -> &'static str {
        match self.encoding.name() {
            "gb18030" => "GB18030",
            name => name,
        }
    }

    /// Returns the text from here on, at least `least` bytes of it if there are as many.
    pub(super) fn peek(&mut self, least: usize) -> Result<&[u8], InputError> {
        while self.decoded.len() - self.at < least && !self.ended && self.fault.is_none() {
            self.decode()?;
        }
        if self.decoded.len() == self.at
            && let Some(fault) = &self.fault
        {
            return Err(fault.clone());
        }
        Ok(&self.decoded[self.at..])
    }

    /// Whether [`TextReader::peek`] returned the rest of the text.
    pub(super) const fn is_ended(&self) -> bool {
        self.ended
    }

    /// Decodes one more block.
    fn decode(&mut self) -> Result<(), InputError> {
        if self.at == self.decoded.len() {
            self.decoded.clear();
            self.at = 0;
        }
        if self.raw_at == self.raw_end && !self.source_ended {
            let count = self.source.read(&mut self.raw).map_err(|error| {
                InputError::line(self.position.line, format!("it cannot be read: {error}"))
            })?;
            (self.raw_at, self.raw_end) = (0, count);
            self.source_ended = count == 0;
        }
        let before = self.decoded.len();
        self.decoded.resize(before + BLOCK, 0);
        let (result, read, written) = self.decoder.decode_to_utf8_without_replacement(
            &self.raw[self.raw_at..self.raw_end],
            &mut self.decoded[before..],
            self.source_ended,
        );
        self.decoded.truncate(before + written);
        self.raw_at += read;
        self.position.pass(&self.decoded[before..]);
        match result {
            DecoderResult::InputEmpty => self.ended = self.source_ended,
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(..) => self.fault = Some(self.malformed()),
        }
        Ok(())
    }

    fn malformed(&self) -> InputError {
        let name = self.encoding();
        let other = if name == "UTF-8" { "gb18030" } else { "utf-8" };
        InputError::at(
            self.position.line,
            format!("character {}", self.position.column),
            format!(
                "the bytes here are not {name}; save the file as UTF-8 again, or say what it is, for \
                 example `encoding = \"{other}\"`"
            ),
        )
    }
}

impl<R: Read> BlockSource for TextReader<R> {
    fn block(&mut self) -> Result<&[u8], InputError> {
        self.peek(1)
    }

    fn consume(&mut self, count: usize) {
        self.at = (self.at + count).min(self.decoded.len());
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use encoding_rs::{BIG5, EUC_KR, GBK, UTF_16BE, UTF_16LE, WINDOWS_1252};
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8], encoding: Option<&str>) -> Result<(String, &'static str), String> {
        let options = AudienceOptions { encoding: encoding.map(str::to_owned), ..AudienceOptions::default() };
        let mut text =
            TextReader::open(Cursor::new(bytes.to_vec()), &options).map_err(|fault| fault.to_string())?;
        let mut all = Vec::new();
        loop {
            let block = text.block().map_err(|fault| fault.to_string())?;
            if block.is_empty() {
                return Ok((String::from_utf8(all).unwrap(), text.encoding()));
            }
            all.extend_from_slice(block);
            let count = block.len();
            text.consume(count);
        }
    }

    fn utf16(text: &str, big: bool) -> Vec<u8> {
        text.encode_utf16()
            .flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() })
            .collect()
    }

    const TABLE: &str =
        "group_id,name,city\r\n184524748161025,跑步群,上海\r\n184524748161026,读书会,杭州\r\n";

    #[test]
    fn an_encoding_is_recognised() {
        let gbk = GBK.encode(TABLE).0.into_owned();
        let marked = |mark: &[u8], bytes: &[u8]| [mark, bytes].concat();
        for (bytes, name) in [
            (TABLE.as_bytes().to_vec(), "UTF-8"),
            (marked(b"\xef\xbb\xbf", TABLE.as_bytes()), "UTF-8"),
            (gbk, "GB18030"),
            (marked(b"\xff\xfe", &utf16(TABLE, false)), "UTF-16LE"),
            (marked(b"\xfe\xff", &utf16(TABLE, true)), "UTF-16BE"),
            (utf16(TABLE, false), "UTF-16LE"),
            (utf16(TABLE, true), "UTF-16BE"),
        ] {
            assert_eq!(read(&bytes, None), Ok((TABLE.to_owned(), name)));
        }
        assert_eq!(read(b"", None), Ok((String::new(), "UTF-8")));
    }

    #[test]
    fn a_few_chinese_letters_are_enough() {
        for name in ["张三", "李", "跑步群", "王小明", "陈", "客户A", "北京一群", "龙湖·天街", "【VIP】群"]
        {
            for table in
                [format!("group_id,name\n184524748161025,{name}\n"), format!("群ID,名称\n1845,{name}\n")]
            {
                let (bytes, _, _) = encoding_rs::GB18030.encode(&table);
                assert_eq!(read(&bytes, None), Ok((table.clone(), "GB18030")), "{name}");
            }
        }
    }

    #[test]
    fn what_is_not_certain_is_asked_about() {
        for (encoding, text) in [
            (WINDOWS_1252, "group_id,name\n1,José\n2,Müller\n3,Zoë\n4,Renée\n"),
            (EUC_KR, "group_id,name\n1,안녕하세요 여러분\n2,서울 사람들 모임입니다\n"),
            (BIG5, "group_id,name\n1,您好，歡迎光臨我們的網站\n2,這是繁體中文的測試檔案\n"),
        ] {
            let bytes = encoding.encode(text).0;
            let error = read(&bytes, None).unwrap_err();
            assert!(error.starts_with("line 2, character ") && error.contains("`encoding = \""), "{error}");
            assert_eq!(read(&bytes, Some(encoding.name())).unwrap().0, text);
        }
        // A single rare letter is not certain.
        let rare = encoding_rs::GB18030.encode("group_id,name\n1,镕\n").0.into_owned();
        assert!(read(&rare, None).unwrap_err().contains("`encoding = \"gb18030\"`"));
        // 联 and 通 in GBK are not valid UTF-8, but these are valid in both.
        let both = GBK.encode("group_id,name\n1,挛路\n").0.into_owned();
        if std::str::from_utf8(&both).is_ok() {
            assert!(read(&both, None).unwrap_err().contains("as UTF-8 and as GB18030"));
        }
        assert_eq!(read("id,name\n1,José\n2,Анна\n".as_bytes(), None).unwrap().1, "UTF-8");
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_place() {
        let broken = [TABLE.as_bytes(), b"1,\xe8\xb7\x91\xe6\xad,x\n"].concat();
        assert!(
            read(&broken, None).unwrap_err().starts_with("line 4, character 4: the bytes here are not UTF-8")
        );
        for (bytes, says) in [
            (&b"PK\x03\x04rest"[..], "an Excel workbook"),
            (b"\xd0\xcf\x11\xe0rest", "an old Excel workbook"),
            (b"\xff\xfe\0\0a\0\0\0", "UTF-32"),
            (b"group_id\n1\0\n2\n3\n4\n5\n6\n7\n", "zero bytes"),
        ] {
            let error = read(bytes, None).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
        assert!(read(b"\xef\xbb\xbfa", Some("gbk")).unwrap_err().contains("begins with the mark of UTF-8"));
        assert!(read(b"\xe4\xb8", Some("gbk")).is_ok());
    }

    proptest! {
        #[test]
        fn text_of_any_length_comes_out_as_it_went_in(
            words in prop::collection::vec("[a-z0-9,\n]{0,9}|[跑步群上海读书]{1,9}", 0..40),
            times in 1_usize..400,
            which in 0..4,
        ) {
            let text = format!("head,群\n{}", words.concat().repeat(times));
            let bytes = match which {
                0 => text.as_bytes().to_vec(),
                1 => [b"\xff\xfe".to_vec(), utf16(&text, false)].concat(),
                2 => [b"\xfe\xff".to_vec(), utf16(&text, true)].concat(),
                _ => [b"\xef\xbb\xbf".to_vec(), text.as_bytes().to_vec()].concat(),
            };
            let _ = (UTF_16LE, UTF_16BE);
            prop_assert_eq!(read(&bytes, None).unwrap().0, text);
        }

        #[test]
        fn no_bytes_are_too_odd(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes, None);
            let _ = read(&bytes, Some("gb18030"));
        }
    }
}
