//! A JSON object whose fields are read one by one, in the bytes that were sent.

use std::collections::HashMap;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// The fields of an object by name.
#[derive(Debug)]
pub(super) struct JsonFields<'a>(HashMap<String, &'a RawValue>);

/// The text is not a JSON object, or a field has the wrong type.
#[derive(Debug)]
pub(super) struct WrongShape;

impl<'a> JsonFields<'a> {
    pub(super) fn read(body: &'a [u8]) -> Result<Self, WrongShape> {
        serde_json::from_slice(body).map(Self).map_err(|_| WrongShape)
    }

    /// Returns the field's own text. `None` if the object has no such field.
    pub(super) fn raw(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).map(|raw| raw.get())
    }

    /// Returns the field's value. `None` if the field is absent or null.
    pub(super) fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, WrongShape> {
        self.raw(name).map_or(Ok(None), |raw| serde_json::from_str(raw).map_err(|_| WrongShape))
    }
}
