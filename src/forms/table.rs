//! Reads the table that a script assigns to `args`: a list with a table for each argument.

use crate::core::nearest;
use crate::lint::{ArgsTable, Constant, ConstantField, LIKE};

use super::declare::{self, Declared, Place};
use super::field::{ArgumentType, FormField};
use super::form::FormError;

/// The fields of an argument.
const FIELDS: [&str; 7] = ["name", "type", "help", "default", "optional", "choices", "extensions"];

/// Reads the arguments, in their order.
///
/// # Errors
///
/// The first wrong one, with its line.
pub(super) fn fields(table: &ArgsTable) -> Result<Vec<FormField>, FormError> {
    if table.fields.is_empty() {
        let message = format!(
            "`args` declares no arguments; write them, such as `{LIKE}`, or remove it. For a variable of your own write `local args`"
        );
        return Err(FormError { line: table.line, message });
    }
    let mut fields = Vec::new();
    for item in &table.fields {
        let field = argument(item)?;
        declare::add(&mut fields, field).map_err(|message| FormError { line: item.line, message })?;
    }
    Ok(fields)
}

fn argument(item: &ConstantField) -> Result<FormField, FormError> {
    let wrong = |message: String| FormError { line: item.line, message };
    if let Some(key) = &item.key {
        return Err(wrong(format!(
            "`{key}` is not an argument, because `args` is a list; write `{{ name = {key:?}, type = \"string\" }}`"
        )));
    }
    let Constant::Table(given) = &item.value else {
        return Err(wrong(format!("an argument is a table, not {}, such as `{LIKE}`", item.value.what())));
    };
    let given = Given::of(given)?;
    let name = given
        .text("name")?
        .ok_or_else(|| wrong(format!("an argument has no `name`; write it as in `{LIKE}`")))?;
    given.say("name", declare::check_name(&name))?;
    let kind = given.text("type")?.unwrap_or_default();
    let place = if kind.is_empty() { "name" } else { "type" };
    let kind = given.say(place, declare::kind_of(&name, &kind))?;
    let mut allowed = Vec::new();
    for (list, of) in [("choices", ArgumentType::Choice), ("extensions", ArgumentType::File)] {
        let words = given.list(list)?;
        if kind == of {
            allowed = words.unwrap_or_default();
        } else if words.is_some() {
            let message = format!(
                "`{list}` is for the type `{}`, and `{name}` has the type `{}`",
                of.name(),
                kind.name()
            );
            return given.say(list, Err(message));
        }
    }
    let optional = given.boolean("optional")?.unwrap_or_default();
    let default = given.default(&name, kind)?;
    let help = given.text("help")?.unwrap_or_default();
    declare::checked(Declared { name, kind, allowed, optional, default, help }, Place::Table).map_err(wrong)
}

/// The fields that an argument is given.
struct Given<'a>(Vec<(&'a str, &'a ConstantField)>);

impl<'a> Given<'a> {
    fn of(fields: &'a [ConstantField]) -> Result<Self, FormError> {
        let mut given: Vec<(&str, &ConstantField)> = Vec::new();
        for field in fields {
            let wrong = |message: String| FormError { line: field.line, message };
            let Some(key) = field.key.as_deref() else {
                return Err(wrong(format!(
                    "{} without a name stands in an argument; its fields are {}",
                    field.value.what(),
                    FIELDS.join(", ")
                )));
            };
            if !FIELDS.contains(&key) {
                let near = nearest(key, FIELDS)
                    .map_or_else(|| ".".to_owned(), |near| format!("; did you mean `{near}`?"));
                return Err(wrong(format!(
                    "an argument has no field `{}`{near} The fields are {}",
                    key.escape_debug(),
                    FIELDS.join(", ")
                )));
            }
            if given.iter().any(|(other, _)| *other == key) {
                return Err(wrong(format!("`{key}` stands twice in an argument")));
            }
            given.push((key, field));
        }
        Ok(Self(given))
    }

    fn field(&self, key: &str) -> Option<&'a ConstantField> {
        self.0.iter().find(|(known, _)| *known == key).map(|(_, field)| *field)
    }

    /// Puts a problem into the line of a field.
    fn say<T>(&self, key: &str, result: Result<T, String>) -> Result<T, FormError> {
        result.map_err(|message| FormError { line: self.field(key).map_or(1, |field| field.line), message })
    }

    fn text(&self, key: &str) -> Result<Option<String>, FormError> {
        match self.field(key).map(|field| &field.value) {
            None => Ok(None),
            Some(Constant::Text(text)) => Ok(Some(text.clone())),
            Some(other) => {
                self.say(key, Err(format!("`{key}` must be a text in quotes, not {}", other.what())))
            }
        }
    }

    fn boolean(&self, key: &str) -> Result<Option<bool>, FormError> {
        match self.field(key).map(|field| &field.value) {
            None => Ok(None),
            Some(Constant::Boolean(flag)) => Ok(Some(*flag)),
            Some(other) => {
                self.say(key, Err(format!("`{key}` must be `true` or `false`, not {}", other.what())))
            }
        }
    }

    fn list(&self, key: &str) -> Result<Option<Vec<String>>, FormError> {
        let Some(field) = self.field(key) else { return Ok(None) };
        let word = |item: &ConstantField| match (&item.key, &item.value) {
            (None, Constant::Text(word)) => Some(word.clone()),
            _ => None,
        };
        let words: Option<Vec<String>> = match &field.value {
            Constant::Table(items) => items.iter().map(word).collect(),
            _ => None,
        };
        let Some(words) = words else {
            return self
                .say(key, Err(format!("`{key}` must be a list of texts, such as `{{ \"a\", \"b\" }}`")));
        };
        Ok(Some(words))
    }

    /// The default as a text. A number or a boolean stands without quotes only where the type is one.
    fn default(&self, name: &str, kind: ArgumentType) -> Result<Option<String>, FormError> {
        let key = "default";
        let numeric = matches!(kind, ArgumentType::Integer | ArgumentType::Number);
        match self.field(key).map(|field| &field.value) {
            None => Ok(None),
            Some(Constant::Text(text)) => Ok(Some(text.clone())),
            Some(Constant::Number(number)) if numeric => Ok(Some(number.clone())),
            Some(Constant::Boolean(flag)) if kind == ArgumentType::Boolean => Ok(Some(flag.to_string())),
            Some(other) => {
                let message = format!(
                    "the default of `{name}` is {}, but its type is `{}`; write a text in quotes",
                    other.what(),
                    kind.name()
                );
                self.say(key, Err(message))
            }
        }
    }
}
