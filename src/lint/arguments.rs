//! Checks literal arguments against the parameters of the called function.

use super::LintFinding;
use super::chain::CallArguments;
use super::fields::TableFields;
use super::members::hint;
use super::signatures::{AcceptedTables, Parameter, Signature, Signatures};
use super::value::{StaticValue, TableLiteral, ValueEvaluator};

/// The problems of the arguments in a call of `name`.
pub(super) fn findings<'a>(
    signatures: &Signatures,
    values: &ValueEvaluator<'_, 'a>,
    name: &str,
    signature: &Signature,
    arguments: &[CallArguments<'a>],
) -> Vec<LintFinding> {
    let mut findings = Vec::new();
    let most = signature.parameters.len();
    if let Some(token) = arguments.get(most).and_then(CallArguments::token).filter(|_| !signature.open) {
        let names: Vec<&str> = signature.parameters.iter().map(|one| one.name.as_str()).collect();
        let takes = if names.is_empty() { "no arguments".to_owned() } else { names.join(", ") };
        let message = format!("`{name}` is called with {} arguments; it takes {takes}", arguments.len());
        findings.push(LintFinding::on(token, message));
    }
    for (index, (argument, parameter)) in arguments.iter().zip(&signature.parameters).enumerate() {
        let Some(token) = argument.token() else { continue };
        match values.of_argument(argument) {
            StaticValue::Text(_) if !signatures.takes_text(parameter) => {
                findings.push(LintFinding::on(token, mismatch(name, index, parameter, "a text")));
            }
            StaticValue::Table(literal) => match signatures.tables(parameter) {
                AcceptedTables::Any => {}
                AcceptedTables::No => {
                    let message = mismatch(name, index, parameter, "a table")
                        + &belongs_later(signatures, signature, index, &literal);
                    findings.push(LintFinding::on(token, message));
                }
                AcceptedTables::Of(known) => {
                    let Some((written, _)) = values.changes(&literal) else { continue };
                    for field in TableFields::of(&literal).named {
                        let given = field.name.as_str();
                        if !known.contains(given) && !written.contains(given) {
                            let hint = hint(given, known.iter().copied().collect::<Vec<_>>());
                            let message = format!("`{name}` has no option `{given}`{hint}");
                            findings.push(LintFinding::on(field.token, message));
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
    format!("argument {} of `{name}`, `{parameter}`, must be {kind}, not {given}", index + 1)
}

/// Names the later parameter that a misplaced table's fields belong to.
fn belongs_later(
    signatures: &Signatures,
    signature: &Signature,
    index: usize,
    literal: &TableLiteral<'_>,
) -> String {
    let fields = TableFields::of(literal).named;
    let takes = |parameter: &&Parameter| match signatures.tables(parameter) {
        AcceptedTables::Of(known) => {
            !fields.is_empty() && fields.iter().all(|field| known.contains(field.name.as_str()))
        }
        _ => false,
    };
    let mut later = signature.parameters.iter().enumerate().skip(index + 1);
    later.find(|(_, parameter)| takes(parameter)).map_or_else(String::new, |(at, parameter)| {
        format!("; these fields belong to `{}`, argument {}: write nil in its place", parameter.name, at + 1)
    })
}
