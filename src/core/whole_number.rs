//! Whole numbers from Lua and JSON.

use serde::Deserialize;

/// A whole number. Lua's `/` returns 5.0 for 10 / 2, which is one too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(from = "WholeInput")]
pub struct WholeNumber(pub i64);

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a whole number")]
enum WholeInput {
    Integer(i64),
    #[serde(deserialize_with = "integral")]
    Number(i64),
}

fn integral<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let number = f64::deserialize(deserializer)?;
    if number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0 {
        #[expect(clippy::cast_possible_truncation, reason = "integral and within 2^53")]
        return Ok(number as i64);
    }
    Err(serde::de::Error::custom("not whole"))
}

impl From<WholeInput> for WholeNumber {
    fn from((WholeInput::Integer(number) | WholeInput::Number(number)): WholeInput) -> Self {
        Self(number)
    }
}
