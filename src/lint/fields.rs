//! The fields of a table constructor.

use full_moon::ast::{Expression, Field};
use full_moon::tokenizer::TokenReference;

use super::text;
use super::value::{StaticValue, TableLiteral, ValueEvaluator};

pub(super) struct NamedField<'a> {
    pub(super) name: String,
    pub(super) token: &'a TokenReference,
    pub(super) value: &'a Expression,
}

/// The fields of a table constructor.
#[derive(Default)]
pub(super) struct TableFields<'a> {
    pub(super) named: Vec<NamedField<'a>>,
    pub(super) items: Vec<&'a Expression>,
    /// Whether some field names are known only at run time.
    pub(super) open: bool,
}

impl<'a> TableFields<'a> {
    pub(super) fn of(literal: &TableLiteral<'a>) -> Self {
        let mut fields = Self::default();
        for field in literal.table.fields() {
            match field {
                Field::NameKey { key, value, .. } => {
                    fields.named.push(NamedField { name: key.token().to_string(), token: key, value });
                }
                Field::ExpressionKey { key, value, .. } => match &**key {
                    Expression::String(token) => match text::string(token) {
                        Ok(Some(name)) => fields.named.push(NamedField { name, token, value }),
                        _ => fields.open = true,
                    },
                    _ => fields.open = true,
                },
                Field::NoKey(value) => fields.items.push(value),
                _ => fields.open = true,
            }
        }
        fields
    }

    pub(super) fn get(&self, name: &str) -> Option<&NamedField<'a>> {
        self.named.iter().find(|field| field.name == name)
    }
}

/// The literal ids in a list, each as text. A number and a string with the same digits are the same id.
pub(super) fn ids<'a>(
    values: &ValueEvaluator<'_, 'a>,
    items: &[&'a Expression],
) -> Vec<(String, &'a Expression)> {
    items
        .iter()
        .filter_map(|item| match values.of(item) {
            StaticValue::Text(id) | StaticValue::Number(id) => Some((id, *item)),
            _ => None,
        })
        .collect()
}
