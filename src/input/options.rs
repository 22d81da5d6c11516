//! A script's options for a file that it names.

use encoding_rs::{Encoding, UTF_16LE};

use super::fault::InputError;
use crate::core::{BroadcastSpec, Call, RequestFailure};

/// A script's options for a file. The reader detects the options that are None.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AudienceOptions {
    /// The label of the text's encoding, such as `gb18030`.
    pub encoding: Option<String>,
    /// The separator of a row's cells: one ASCII character.
    pub separator: Option<u8>,
    /// The name of a workbook's sheet.
    pub sheet: Option<String>,
    /// The column or field that has the id of the recipient.
    pub id_column: Option<String>,
    /// What the recipients are; None for groups and members of groups.
    pub kind: Option<Call>,
}

impl AudienceOptions {
    /// Returns how the audience file of a broadcast is read.
    pub fn of(spec: &BroadcastSpec) -> Result<Self, RequestFailure> {
        let invalid = |field: &'static str| {
            move |what: String| RequestFailure::invalid(field, format!("`{field}`: {what}"))
        };
        spec.encoding.as_deref().map(Self::check_encoding).transpose().map_err(invalid("encoding"))?;
        let separator = spec.separator.as_deref().map(Self::separator).transpose();
        Ok(Self {
            encoding: spec.encoding.clone(),
            separator: separator.map_err(invalid("separator"))?,
            sheet: spec.sheet.clone(),
            id_column: spec.id_column.clone(),
            kind: spec.kind,
        })
    }

    /// Returns the call that sends to the recipients, for what their ids are.
    pub(super) fn call(&self) -> Call {
        self.kind.unwrap_or(Call::Group)
    }

    /// Reads a separator.
    pub fn separator(text: &str) -> Result<u8, String> {
        match *text.as_bytes() {
            [byte] if Self::is_separator(byte) => Ok(byte),
            _ => Err("expected one character, such as \",\", \";\" or \"\\t\"".to_owned()),
        }
    }

    /// Whether this byte can separate cells.
    pub(super) const fn is_separator(byte: u8) -> bool {
        matches!(byte, b'\t' | b' '..=b'~') && byte != b'"' && !byte.is_ascii_alphanumeric()
    }

    pub fn check_encoding(label: &str) -> Result<(), String> {
        NamedEncoding::of(label).map(drop).map_err(|fault| fault.what)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NamedEncoding {
    /// UTF-16 in the byte order of its mark or its text.
    Utf16,
    One(&'static Encoding),
}

impl NamedEncoding {
    pub(super) fn of(label: &str) -> Result<Self, InputError> {
        let trimmed = label.trim();
        if trimmed.eq_ignore_ascii_case("utf-16") || trimmed.eq_ignore_ascii_case("utf16") {
            return Ok(Self::Utf16);
        }
        let lower = trimmed.to_ascii_lowercase();
        let standard = match lower.as_str() {
            // The names that Windows and Python use.
            "cp936" | "windows-936" | "ms936" => "gb18030",
            "cp950" | "windows-950" | "ms950" => "big5",
            "cp932" | "windows-932" | "ms932" => "shift_jis",
            "cp949" | "windows-949" | "ms949" => "euc-kr",
            other => other,
        };
        match Encoding::for_label_no_replacement(standard.as_bytes()) {
            Some(encoding) if encoding == encoding_rs::GBK => Ok(Self::One(encoding_rs::GB18030)),
            Some(encoding) => Ok(Self::One(encoding)),
            None => Err(InputError::whole(format!(
                "there is no encoding \"{}\"; use for example \"utf-8\", \"gb18030\", \"utf-16\", \"big5\" \
                 and \"windows-1252\"",
                label.escape_debug()
            ))),
        }
    }

    pub(super) fn is_utf16(self) -> bool {
        matches!(self, Self::Utf16) || self == Self::One(UTF_16LE) || self == Self::One(encoding_rs::UTF_16BE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_and_encodings_are_checked() {
        for text in [",", ";", "\t", "|", ":"] {
            assert!(AudienceOptions::separator(text).is_ok(), "{text:?}");
        }
        for text in ["", "\"", "\n", "a", "1", "，", ",,"] {
            assert!(AudienceOptions::separator(text).is_err(), "{text:?}");
        }
        for label in ["utf-8", "UTF8", "gbk", "GB18030", "gb2312", "utf-16", "UTF-16LE", "big5", "latin1"] {
            AudienceOptions::check_encoding(label).unwrap();
        }
        assert!(AudienceOptions::check_encoding("utf-9").unwrap_err().contains("gb18030"));
        assert_eq!(NamedEncoding::of(" CP936 ").unwrap(), NamedEncoding::One(encoding_rs::GB18030));
        assert_eq!(NamedEncoding::of("cp950").unwrap(), NamedEncoding::One(encoding_rs::BIG5));
        assert_eq!(NamedEncoding::of("gbk").unwrap(), NamedEncoding::One(encoding_rs::GB18030));
    }
}
