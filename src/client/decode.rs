//! Decodes bodies as the network delivers them: compressed, and with a byte order mark before their text.
//!
//! Reads every kind of gzip and deflate that servers send: `x-gzip`, several encodings on top of each other, deflate
//! with and without its zlib header, and a body whose header names an encoding that a proxy has already removed.

use std::io::Read;

use bytes::Bytes;
use encoding_rs::{UTF_16BE, UTF_16LE};
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::header::{CONTENT_ENCODING, HeaderMap};

const GZIP_MAGIC: &[u8] = b"\x1f\x8b\x08";

/// Why a body cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("the answer is compressed as «{0}»; only gzip and deflate are read")]
    UnknownCoding(String),
    #[error("the answer's {0} body is cut off or damaged")]
    Damaged(&'static str),
    #[error("the answer is longer than {0} bytes once it is decompressed")]
    TooLong(usize),
}

/// The encodings of a body, in the order in which they were applied.
#[derive(Debug, Default)]
pub struct ContentEncodings(Vec<String>);

impl ContentEncodings {
    /// Reads the `Content-Encoding` headers.
    pub fn of(headers: &HeaderMap) -> Self {
        if !headers.contains_key(CONTENT_ENCODING) {
            return Self::default();
        }
        let values = headers.get_all(CONTENT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        let codings =
            values.flat_map(|value| value.split(',')).map(|coding| coding.trim().to_ascii_lowercase());
        Self(codings.filter(|coding| !matches!(coding.as_str(), "" | "identity")).collect())
    }

    /// Whether the body is not encoded.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Removes all encodings.
    pub fn undo(&self, body: Bytes, most: usize) -> Result<Bytes, DecodeError> {
        if body.is_empty() {
            return Ok(body);
        }
        self.0.iter().rev().try_fold(body, |body, coding| undo(coding, body, most))
    }
}

/// The text of the service's answer: decompressed (also if no header says that it is compressed), without its byte
/// order mark, and in UTF-8.
pub(super) fn text(codings: &ContentEncodings, body: Bytes, most: usize) -> Result<Bytes, DecodeError> {
    let body = codings.undo(body, most)?;
    // No JSON begins with these bytes.
    let body = if body.starts_with(GZIP_MAGIC) { undo("gzip", body, most)? } else { body };
    Ok(match body.as_ref() {
        [0xef, 0xbb, 0xbf, ..] => body.slice(3..),
        [0xff, 0xfe, ..] => UTF_16LE.decode_with_bom_removal(&body).0.into_owned().into(),
        [0xfe, 0xff, ..] => UTF_16BE.decode_with_bom_removal(&body).0.into_owned().into(),
        _ => body,
    })
}

fn undo(coding: &str, body: Bytes, most: usize) -> Result<Bytes, DecodeError> {
    match coding {
        "gzip" | "x-gzip" if body.starts_with(GZIP_MAGIC) => {
            read(MultiGzDecoder::new(body.as_ref()), most, "gzip")
        }
        "deflate" if is_zlib(&body) => read(ZlibDecoder::new(body.as_ref()), most, "deflate"),
        // A body without a zlib header can still be deflate.
        "deflate" => match read(DeflateDecoder::new(body.as_ref()), most, "deflate") {
            Err(DecodeError::Damaged(_)) if is_plain(&body) => Ok(body),
            read => read,
        },
        // A proxy has removed the encoding and kept the header.
        "gzip" | "x-gzip" if is_plain(&body) => Ok(body),
        "gzip" | "x-gzip" => Err(DecodeError::Damaged("gzip")),
        other => Err(DecodeError::UnknownCoding(other.escape_debug().to_string())),
    }
}

fn read(mut decoder: impl Read, most: usize, name: &'static str) -> Result<Bytes, DecodeError> {
    let mut whole = Vec::new();
    let limit = most.saturating_add(1) as u64;
    decoder.by_ref().take(limit).read_to_end(&mut whole).map_err(|_| DecodeError::Damaged(name))?;
    if whole.len() > most { Err(DecodeError::TooLong(most)) } else { Ok(whole.into()) }
}

/// Checks for a zlib header: a window of at most 32 `KiB`, method 8, and two bytes whose 16-bit value is divisible by
/// 31 (RFC 1950).
fn is_zlib(body: &[u8]) -> bool {
    matches!(body, [first, second, ..] if first & 0x8f == 8 && u16::from_be_bytes([*first, *second]).is_multiple_of(31))
}

/// Whether a body is text, such as JSON or HTML, and not compressed data.
fn is_plain(body: &[u8]) -> bool {
    std::str::from_utf8(body).is_ok_and(|text| !text.contains(|c: char| c.is_control() && !c.is_whitespace()))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const MOST: usize = 100_000;
    const JSON: &[u8] = br#"{"data":{"1":"m1"}}"#;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn deflate(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read(coding: &str, body: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let mut headers = HeaderMap::new();
        if !coding.is_empty() {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_str(coding).unwrap());
        }
        text(&ContentEncodings::of(&headers), Bytes::copy_from_slice(body), MOST).map(|bytes| bytes.to_vec())
    }

    #[test]
    fn every_usual_coding_is_undone() {
        let twice = gzip(&zlib(JSON));
        let members = [gzip(&JSON[..5]), gzip(&JSON[5..])].concat();
        for (coding, body) in [
            ("gzip", gzip(JSON)),
            ("GZip", gzip(JSON)),
            ("x-gzip", gzip(JSON)),
            ("gzip", members),
            ("", gzip(JSON)),
            ("deflate", zlib(JSON)),
            ("deflate", deflate(JSON)),
            ("deflate, gzip", twice),
            ("identity", JSON.to_vec()),
            ("gzip", JSON.to_vec()),
            ("deflate", JSON.to_vec()),
            ("gzip", gzip(&[b"\xef\xbb\xbf", JSON].concat())),
        ] {
            assert_eq!(read(coding, &body).as_deref(), Ok(JSON), "{coding}: {body:?}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_text() {
        let wide = |order: fn(u16) -> [u8; 2]| -> Vec<u8> {
            std::iter::once(0xfeff).chain(JSON.iter().map(|byte| u16::from(*byte))).flat_map(order).collect()
        };
        for body in [[b"\xef\xbb\xbf", JSON].concat(), wide(u16::to_le_bytes), wide(u16::to_be_bytes)] {
            assert_eq!(read("", &body).as_deref(), Ok(JSON));
        }
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        assert_eq!(read("br", JSON), Err(DecodeError::UnknownCoding("br".to_owned())));
        let whole = gzip(JSON);
        assert_eq!(read("gzip", &whole[..whole.len() - 9]), Err(DecodeError::Damaged("gzip")));
        assert_eq!(read("gzip", &gzip(&vec![0; MOST + 1])), Err(DecodeError::TooLong(MOST)));
        assert_eq!(read("gzip", &gzip(&vec![0; MOST])).map(|bytes| bytes.len()), Ok(MOST));
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(coding in "(gzip|deflate|br|,){0,3}", body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&coding, &body);
            let _ = read(&coding, &[GZIP_MAGIC, &body].concat());
        }
    }
}
