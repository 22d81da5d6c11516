//! Reads the arguments of a run by the form.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::core::nearest;
use crate::protocol::{ArgumentValue, NamedArgument};

use super::check::{self, ValueProblem};
use super::field::{ArgumentType, FormField};
use super::form::ScriptForm;

/// The most characters of a value that a problem shows.
const SHOWN: usize = 60;

/// The checked arguments of a run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FormValues {
    /// Each value as `NAME=VALUE`, in the order of the form, with the defaults. Equal values have equal texts, however
    /// they were given.
    pub args: Vec<String>,
    /// The values for `args[1]`, `args[2]`; one that was left out is an empty text.
    pub positional: Vec<String>,
    /// The values for `args.NAME`. One that was left out is not among them.
    pub named: Vec<NamedArgument>,
}

/// What is wrong with an argument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArgumentProblem {
    /// The argument; `None` if it is not of the form.
    pub name: Option<String>,
    /// The value that was given.
    pub value: String,
    /// Why the value of the argument cannot be used.
    pub problem: Option<ValueProblem>,
    /// The whole problem, in one sentence.
    pub message: String,
}

/// Everything that is wrong with the arguments.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ArgumentProblems(pub Vec<ArgumentProblem>);

impl std::error::Error for ArgumentProblems {}

impl fmt::Display for ArgumentProblems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            write!(formatter, "{}{}", if index == 0 { "" } else { "; " }, problem.message)?;
        }
        Ok(())
    }
}

impl ArgumentProblem {
    /// The value of an argument cannot be used.
    pub fn of(name: &str, value: &str, problem: ValueProblem) -> Self {
        let message = match problem {
            ValueProblem::Missing => format!("the argument `{name}` is missing; a value is needed"),
            ref problem => format!("the argument `{name}`, {}, {problem}", shown(value)),
        };
        Self { name: Some(name.to_owned()), value: value.to_owned(), problem: Some(problem), message }
    }

    fn not_of_form(value: &str, message: String) -> Self {
        Self { name: None, value: value.to_owned(), problem: None, message }
    }
}

impl ScriptForm {
    /// Reads the arguments of a run. If one of them begins with a name and `=`, all must, and each name must be one of
    /// the form; otherwise they are the values in the order of the form.
    ///
    /// # Errors
    ///
    /// Every argument that is missing, unknown or wrong.
    pub fn read(&self, args: &[String]) -> Result<FormValues, ArgumentProblems> {
        let mut problems = Vec::new();
        let given = self.given(args, &mut problems);
        let mut values = FormValues::default();
        for (field, given) in self.fields.iter().zip(&given) {
            let value = given.as_ref().or(field.default.as_ref()).filter(|value| !value.is_empty());
            match value {
                None if field.required || (given.is_some() && field.default.is_some()) => {
                    problems.push(ArgumentProblem::of(&field.name, "", ValueProblem::Missing));
                }
                None => values.positional.push(String::new()),
                Some(value) => match typed(field, value) {
                    Ok(typed) => {
                        values.args.push(format!("{}={value}", field.name));
                        values.positional.push(value.clone());
                        values.named.push(NamedArgument { name: field.name.clone(), value: typed });
                    }
                    Err(problem) => problems.push(ArgumentProblem::of(&field.name, value, problem)),
                },
            }
        }
        if problems.is_empty() { Ok(values) } else { Err(ArgumentProblems(problems)) }
    }

    /// The text that was given for each field.
    fn given(&self, args: &[String], problems: &mut Vec<ArgumentProblem>) -> Vec<Option<String>> {
        let mut given = vec![None; self.fields.len()];
        let by_name = args.iter().any(|arg| name_of(arg).is_some());
        for (index, arg) in args.iter().enumerate() {
            let field_index = match name_of(arg) {
                Some((name, _)) => {
                    let Some(field_index) = self.fields.iter().position(|field| field.name == name) else {
                        problems.push(self.unknown(name, arg));
                        continue;
                    };
                    Some(field_index)
                }
                None if by_name => {
                    let message = format!(
                        "the argument {} has no name, but others have; write NAME=VALUE for each",
                        shown(arg)
                    );
                    problems.push(ArgumentProblem::not_of_form(arg, message));
                    continue;
                }
                None => (index < given.len()).then_some(index),
            };
            let Some((field_index, slot)) =
                field_index.and_then(|field_index| Some((field_index, given.get_mut(field_index)?)))
            else {
                let message = format!(
                    "the argument {} is one too many; the script takes {}: {}",
                    shown(arg),
                    self.fields.len(),
                    self.names()
                );
                problems.push(ArgumentProblem::not_of_form(arg, message));
                continue;
            };
            let value = name_of(arg).map_or(arg.as_str(), |(_, value)| value);
            if slot.is_some() {
                let name = self.fields.get(field_index).map_or("", |field| &field.name);
                let message = format!("the argument `{name}` is given twice");
                problems.push(ArgumentProblem::not_of_form(arg, message));
            }
            *slot = Some(value.to_owned());
        }
        given
    }

    fn unknown(&self, name: &str, arg: &str) -> ArgumentProblem {
        let near = nearest(name, self.fields.iter().map(|field| field.name.as_str()))
            .map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        let message = format!("the script has no argument `{name}`{near} Its arguments: {}", self.names());
        ArgumentProblem::not_of_form(arg, message)
    }

    fn names(&self) -> String {
        self.fields.iter().map(|field| field.name.as_str()).collect::<Vec<_>>().join(", ")
    }
}

/// The name and the value, if an argument begins with a name and `=`.
fn name_of(arg: &str) -> Option<(&str, &str)> {
    let (name, value) = arg.split_once('=')?;
    let plain = name.bytes().all(|letter| letter.is_ascii_alphanumeric() || letter == b'_');
    (plain && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_'))
        .then_some((name, value))
}

fn typed(field: &FormField, value: &str) -> Result<ArgumentValue, ValueProblem> {
    field.check(value)?;
    Ok(match field.kind {
        ArgumentType::Integer => ArgumentValue::Integer(check::integer(value).ok_or(ValueProblem::Integer)?),
        ArgumentType::Number => ArgumentValue::Number(check::number(value).ok_or(ValueProblem::Number)?),
        ArgumentType::Boolean => ArgumentValue::Boolean(value == "true"),
        _ => ArgumentValue::Text(value.to_owned()),
    })
}

fn shown(value: &str) -> String {
    if value.chars().count() <= SHOWN {
        return format!("{value:?}");
    }
    format!("{:?}", value.chars().take(SHOWN).chain(['…']).collect::<String>())
}
