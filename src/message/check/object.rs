//! Reads a JSON object: readers take out one field at a time, and the fields that remain are unknown.

use serde_json::{Map, Value};

use super::readers::FieldError;
use crate::message::MessageProblem;
use crate::message::draft::ExtraFields;
use crate::message::problem::Findings;

/// The fields not yet read, and the list that their problems are added to.
pub(super) struct ObjectReader<'p> {
    /// The prefix of each field's name in a problem: empty, or `body.`.
    prefix: &'static str,
    map: Map<String, Value>,
    problems: &'p mut Findings,
}

impl<'p> ObjectReader<'p> {
    pub(super) fn new(prefix: &'static str, map: Map<String, Value>, problems: &'p mut Findings) -> Self {
        Self { prefix, map, problems }
    }

    /// Returns a reader for an object inside this one.
    pub(super) fn nested(&mut self, prefix: &'static str, map: Map<String, Value>) -> ObjectReader<'_> {
        ObjectReader::new(prefix, map, self.problems)
    }

    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.map.remove(name)
    }

    /// Whether the field exists and is not read yet.
    pub(super) fn has(&self, name: &str) -> bool {
        self.map.contains_key(name)
    }

    /// Reads an optional field. A wrong value adds a problem and reads as its type's default.
    pub(super) fn optional<T: Default>(
        &mut self,
        name: &str,
        read: impl FnOnce(Value) -> Result<T, FieldError>,
    ) -> Option<T> {
        let value = self.take(name)?;
        Some(read(value).unwrap_or_else(|wrong| {
            self.note(name, |field| wrong.at(field));
            T::default()
        }))
    }

    /// Reads a required field. `what` describes the field in the problem for its absence.
    pub(super) fn required<T: Default>(
        &mut self,
        name: &str,
        what: &str,
        read: impl FnOnce(Value) -> Result<T, FieldError>,
    ) -> T {
        self.optional(name, read).unwrap_or_else(|| {
            self.note(name, |field| MessageProblem::missing(field, what));
            T::default()
        })
    }

    /// Adds a problem with the field `name`.
    pub(super) fn note(&mut self, name: &str, problem: impl FnOnce(String) -> MessageProblem) {
        let field = format!("{}{name}", self.prefix);
        self.problems.add(problem(field));
    }

    pub(super) fn problems(&mut self) -> &mut Findings {
        self.problems
    }

    /// Takes out the fields that are not checked.
    pub(super) fn take_extra(&mut self, is_extra: impl Fn(&str) -> bool) -> ExtraFields {
        let names: Vec<String> = self.map.keys().filter(|name| is_extra(name)).cloned().collect();
        ExtraFields(names.iter().filter_map(|name| self.map.remove_entry(name)).collect())
    }

    /// Adds the problem that `unknown` gives for each field that was not read.
    pub(super) fn end(self, unknown: impl Fn(&str) -> MessageProblem) -> &'p mut Findings {
        for name in self.map.keys() {
            self.problems.add(unknown(name));
        }
        self.problems
    }
}
