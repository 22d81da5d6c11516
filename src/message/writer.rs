//! Writes a JSON object field by field and returns where each value is.

use std::ops::Range;

use serde::Serialize;

/// A JSON object that is not finished.
#[derive(Debug)]
pub(super) struct ObjectWriter {
    json: Vec<u8>,
}

impl ObjectWriter {
    pub(super) fn new() -> Self {
        let mut json = Vec::with_capacity(256);
        json.push(b'{');
        Self { json }
    }

    /// Adds a field and returns the range of its value's bytes. `name` needs no escaping.
    pub(super) fn field<T: Serialize + ?Sized>(
        &mut self,
        name: &str,
        value: &T,
    ) -> serde_json::Result<Range<usize>> {
        self.comma();
        self.json.push(b'"');
        self.json.extend_from_slice(name.as_bytes());
        self.json.extend_from_slice(b"\":");
        let start = self.json.len();
        serde_json::to_writer(&mut self.json, value)?;
        Ok(start..self.json.len())
    }

    /// Adds a field if it was given.
    pub(super) fn given<T: Serialize>(
        &mut self,
        name: &str,
        value: Option<&T>,
    ) -> serde_json::Result<Option<Range<usize>>> {
        value.map(|value| self.field(name, value)).transpose()
    }

    /// Adds all fields of `object`, the JSON of an object with at least one field, and ends this object.
    pub(super) fn end_with(mut self, object: &[u8]) -> Vec<u8> {
        self.comma();
        self.json.extend_from_slice(object.get(1..).unwrap_or_default());
        self.json
    }

    pub(super) fn end(mut self) -> Vec<u8> {
        self.json.push(b'}');
        self.json
    }

    fn comma(&mut self) {
        if self.json.len() > 1 {
            self.json.push(b',');
        }
    }
}
