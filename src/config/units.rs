//! Parses durations and sizes.

use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Deserializer};

use crate::core::parse_duration;

/// Parses a size in bytes: `64MiB`, `10MB`, `5120`.
pub fn parse_size(text: &str) -> Result<u64, String> {
    ByteSize::from_str(text)
        .map(|size| size.as_u64())
        .map_err(|_| format!("`{text}` is not a size; write it like 5120, 64MiB or 10MB"))
}

/// For serde: a duration as text, also an optional one.
pub(super) fn duration<'de, D: Deserializer<'de>, T: From<Duration>>(deserializer: D) -> Result<T, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_duration(&text).map(T::from).map_err(serde::de::Error::custom)
}

/// For serde: a size as a number or text.
pub(super) fn size<'de, D: Deserializer<'de>, T: From<u64>>(deserializer: D) -> Result<T, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "invalid type: another, expected a size, like 5120, \"64MiB\" or \"10MB\"")]
    enum SizeInput {
        Bytes(u64),
        Text(String),
    }
    match SizeInput::deserialize(deserializer)? {
        SizeInput::Bytes(bytes) => Ok(bytes.into()),
        SizeInput::Text(text) => parse_size(&text).map(T::from).map_err(serde::de::Error::custom),
    }
}
