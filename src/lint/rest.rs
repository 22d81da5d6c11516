//! Checks the calls of `im.request`: their fields, method and path.

use std::str::FromStr;

use super::LiteralCall;
use super::chain::CallArguments;
use super::fields::TableFields;
use super::message::MessageChecker;
use super::value::{StaticValue, TableLiteral};

impl<'a> MessageChecker<'_, '_, 'a> {
    /// Checks the request of a call. `known` are its fields. Returns the call if its method and path are literal.
    pub(super) fn request(&mut self, argument: &CallArguments<'a>, known: &[&str]) -> Option<LiteralCall> {
        self.options(Some(argument), "im.request", known);
        let StaticValue::Table(literal) = self.values.of_argument(argument) else { return None };
        let (method, path) = (self.literal(&literal, "method"), self.literal(&literal, "path"));
        let position = literal.table.braces().tokens().0.token().start_position();
        let (line, column) = (position.line(), position.character());
        Some(LiteralCall { line, column, method: method?, path: path? })
    }

    /// Reads a field whose value is literal. Notes its problem if it has one.
    fn literal<T: FromStr<Err = String>>(&mut self, literal: &TableLiteral<'a>, name: &str) -> Option<T> {
        let (written, touched) = self.values.changes(literal)?;
        let fields = TableFields::of(literal);
        let field = fields.get(name).filter(|_| !written.contains(name) && !touched.contains(name))?;
        let StaticValue::Text(text) = self.values.of(field.value) else { return None };
        match text.parse() {
            Ok(read) => Some(read),
            Err(problem) => {
                self.note_value(field.value, field, format!("`{name}`: {problem}"));
                None
            }
        }
    }
}
