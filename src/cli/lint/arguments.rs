//! Arguments that are written out in the script, against what the function takes.

use super::Finding;
use super::chain::Argument;
use super::fields::Fields;
use super::members::hint;
use super::signatures::{Parameter, Signature, Signatures, Tables};
use super::value::{Literal, Value, Values};

/// What is wrong with the arguments of a call of `name`.
pub(super) fn findings<'a>(
    signatures: &Signatures,
    values: &Values<'_, 'a>,
    name: &str,
    signature: &Signature,
    arguments: &[Argument<'a>],
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let most = signature.parameters.len();
    if let Some(token) = arguments.get(most).and_then(Argument::token).filter(|_| !signature.open) {
        let names: Vec<&str> = signature.parameters.iter().map(|one| one.name.as_str()).collect();
        let takes = if names.is_empty() { "no arguments".to_owned() } else { names.join(", ") };
        let message = format!("`{name}` is given {} arguments; it takes {takes}", arguments.len());
        findings.push(Finding::on(token, message));
    }
    for (index, (argument, parameter)) in arguments.iter().zip(&signature.parameters).enumerate() {
        let Some(token) = argument.token() else { continue };
        match values.of_argument(argument) {
            Value::Text(_) if !signatures.takes_text(parameter) => {
                findings.push(Finding::on(token, mismatch(name, index, parameter, "a text")));
            }
            Value::Table(literal) => match signatures.tables(parameter) {
                Tables::Any => {}
                Tables::No => {
                    let message = mismatch(name, index, parameter, "a table")
                        + &belongs_later(signatures, signature, index, &literal);
                    findings.push(Finding::on(token, message));
                }
                Tables::Of(known) => {
                    let Some((written, _)) = values.changes(&literal) else { continue };
                    for field in Fields::of(&literal).named {
                        let given = field.name.as_str();
                        if !known.contains(given) && !written.contains(given) {
                            let hint = hint(given, known.iter().copied().collect::<Vec<_>>());
                            let message = format!("`{name}` has no option `{given}`{hint}");
                            findings.push(Finding::on(field.token, message));
                        }
                    }
                }
            },
            _ => {}
        }
    }
    findings
}

fn mismatch(name: &str, index: usize, parameter: &Parameter, given: &str) -> String {
    let Parameter { name: parameter, kind } = parameter;
    format!("argument {} of `{name}`, `{parameter}`, is {kind}, not {given}", index + 1)
}

/// Says which later parameter has the fields of a table that stands too early.
fn belongs_later(
    signatures: &Signatures,
    signature: &Signature,
    index: usize,
    literal: &Literal<'_>,
) -> String {
    let fields = Fields::of(literal).named;
    let takes = |parameter: &&Parameter| match signatures.tables(parameter) {
        Tables::Of(known) => {
            !fields.is_empty() && fields.iter().all(|field| known.contains(field.name.as_str()))
        }
        _ => false,
    };
    let mut later = signature.parameters.iter().enumerate().skip(index + 1);
    later.find(|(_, parameter)| takes(parameter)).map_or_else(String::new, |(at, parameter)| {
        format!("; these fields are for `{}`, argument {}: write nil in its place", parameter.name, at + 1)
    })
}
