//! A JSON object whose fields are looked at one by one, as they were sent.

use std::collections::HashMap;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// The fields of an object by their names.
#[derive(Debug)]
pub(super) struct JsonFields<'a>(HashMap<String, &'a RawValue>);

/// The text is no JSON object, or a field holds something else than it should.
#[derive(Debug)]
pub(super) struct WrongShape;

impl<'a> JsonFields<'a> {
    pub(super) fn read(body: &'a [u8]) -> Result<Self, WrongShape> {
        serde_json::from_slice(body).map(Self).map_err(|_| WrongShape)
    }

    /// The field's own text; `None` when the object has no such field.
    pub(super) fn raw(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).map(|raw| raw.get())
    }

    /// The field's value; `None` when the object has no such field or null in it.
    pub(super) fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, WrongShape> {
        self.raw(name).map_or(Ok(None), |raw| serde_json::from_str(raw).map_err(|_| WrongShape))
    }
}
