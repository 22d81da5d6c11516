//! The readers of texts behind the modules, without Lua, for the fuzzing.

use super::{datetime, template};

/// Fills in a template.
pub fn template(text: &str, values: &serde_json::Value) -> Result<String, String> {
    template::filled(text, values)
}

/// Reads a time as each function of `datetime` does that takes a text, and formats it.
pub fn time(text: &str, format: &str, zone: &str) -> Result<String, String> {
    datetime::try_texts(text, format, zone)
}
