//! Values that are written out in a script, so that they are known without running it.

use full_moon::ast::{Expression, Field, TableConstructor, UnOp};
use full_moon::tokenizer::{Symbol, TokenReference};

use super::LintFinding;
use super::chain::first_token;
use super::{repair, text};

/// The most characters of an expression that a finding shows.
const SHOWN: usize = 60;

/// A value that is written out in a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Constant {
    Boolean(bool),
    /// A number as the script writes it.
    Number(String),
    Text(String),
    Table(Vec<ConstantField>),
}

/// A field of a table that is written out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConstantField {
    /// The line, from 1.
    pub(crate) line: usize,
    /// The name; `None` for an item of a list.
    pub(crate) key: Option<String>,
    pub(crate) value: Constant,
}

impl Constant {
    /// What the value is, for a message.
    pub(crate) const fn what(&self) -> &'static str {
        match self {
            Self::Boolean(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::Table(_) => "a table",
        }
    }
}

/// The fields of a table, in their order.
///
/// # Errors
///
/// The first value or name that is known only at run time.
pub(super) fn table(table: &TableConstructor) -> Result<Vec<ConstantField>, LintFinding> {
    let start = |token: &TokenReference| token.token().start_position().line();
    let fields = table.fields().into_iter().map(|field| match field {
        Field::NameKey { key, value, .. } => Ok(ConstantField {
            line: start(key),
            key: Some(key.token().to_string()),
            value: constant(value)?,
        }),
        Field::ExpressionKey { key, value, brackets, .. } => match &**key {
            Expression::String(token) => {
                Ok(ConstantField { line: start(token), key: Some(text(token)?), value: constant(value)? })
            }
            key => {
                let message = format!("the name `[{}]` must be a text that is written out", shown(key));
                Err(LintFinding::on(brackets.tokens().0, message))
            }
        },
        Field::NoKey(value) => {
            let line = first_token(value).map_or(0, start);
            Ok(ConstantField { line, key: None, value: constant(value)? })
        }
        _ => Err(LintFinding::on(table.braces().tokens().0, "a field of this table cannot be read")),
    });
    fields.collect()
}

fn constant(expression: &Expression) -> Result<Constant, LintFinding> {
    Ok(match expression {
        Expression::String(token) => Constant::Text(text(token)?),
        Expression::Number(token) => Constant::Number(token.token().to_string()),
        Expression::UnaryOperator { unop: UnOp::Minus(_), expression: inner } => match &**inner {
            Expression::Number(token) => Constant::Number(format!("-{}", token.token())),
            _ => return Err(unknown(expression)),
        },
        Expression::Symbol(token) if token.is_symbol(Symbol::True) => Constant::Boolean(true),
        Expression::Symbol(token) if token.is_symbol(Symbol::False) => Constant::Boolean(false),
        Expression::TableConstructor(inner) => Constant::Table(table(inner)?),
        _ => return Err(unknown(expression)),
    })
}

fn text(token: &TokenReference) -> Result<String, LintFinding> {
    let text = text::string(token)?.ok_or_else(|| LintFinding::on(token, "this text is not UTF-8"))?;
    Ok(text.replace(repair::BACKTICK, "`"))
}

fn unknown(expression: &Expression) -> LintFinding {
    let message = if matches!(expression, Expression::Symbol(token) if token.is_symbol(Symbol::Nil)) {
        "`nil` stands for no value; remove the field".to_owned()
    } else {
        format!(
            "`{}` is known only when the script runs; write a text, a number, `true`, `false` or a table of these",
            shown(expression)
        )
    };
    match first_token(expression) {
        Some(token) => LintFinding::on(token, message),
        None => LintFinding { line: 1, column: 1, message },
    }
}

/// The text of an expression, in one line.
pub(super) fn shown(expression: &Expression) -> String {
    let text = expression.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    if text.chars().count() <= SHOWN {
        return text;
    }
    text.chars().take(SHOWN).chain(['…']).collect()
}
