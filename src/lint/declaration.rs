//! Finds the table that a script assigns to the global `args`, which declares its arguments.
//!
//! The script does not run for it, so the table is written out, stands once at the top level, and nothing else uses
//! the name for a global.

use full_moon::ast::{Assignment, Ast, Expression, LocalAssignment, Prefix, Stmt, Var};
use full_moon::tokenizer::{Position, Symbol, Token, TokenReference, TokenType};

use super::chain::member;
use super::constants::{self, Constant, ConstantField, shown};
use super::walk::{self, WalkResult};
use super::{LintFinding, UnreadScript, on_large_stack, parsed, repair};

/// The global that declares the arguments.
const NAME: &str = "args";

/// An example of a declaration.
pub(crate) const LIKE: &str =
    "args = { { name = \"city\", type = \"string\", help = \"The city to invite to\" } }";

/// The tables that hold all globals.
const ENVIRONMENTS: [&str; 2] = ["_G", "_ENV"];

/// The table that a script assigns to `args`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ArgsTable {
    /// The line, from 1.
    pub(crate) line: usize,
    pub(crate) fields: Vec<ConstantField>,
}

/// Finds the table that declares the arguments of a script.
///
/// # Errors
///
/// What makes the declaration, or what may be meant as one, unreadable or unclear.
pub(crate) fn args_table(script: &[u8]) -> Result<Option<ArgsTable>, LintFinding> {
    if !script.windows(NAME.len()).any(|word| word == NAME.as_bytes()) {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(script);
    let source = repair::readable(&text);
    let source = source.strip_prefix('\u{feff}').unwrap_or(&source);
    let Mentions { any: true, assigned } = mentions(source) else { return Ok(None) };
    let unread = |finding: LintFinding| match assigned {
        Some(_) => {
            Err(LintFinding { message: format!("`{NAME}` cannot be read: {}", finding.message), ..finding })
        }
        // Lua names the error of a script that declares nothing here.
        None => Ok(None),
    };
    let at = assigned.unwrap_or_default();
    if std::str::from_utf8(script).is_err() {
        return unread(LintFinding::at(at, "the file is not UTF-8 text"));
    }
    let found = on_large_stack(|| {
        let parsed = match parsed(source) {
            Ok(parsed) => parsed,
            Err(UnreadScript::Wrong(finding)) => return unread(finding),
            Err(UnreadScript::TooLong) => {
                return unread(LintFinding::at(at, "an expression of the script is too long"));
            }
        };
        let walked = walk::walk(&parsed);
        match walked.errors.iter().min() {
            Some(error) => unread(error.clone()),
            None => declared(&parsed.ast, &walked),
        }
    });
    found.unwrap_or_else(|| unread(LintFinding::at(at, "there is not enough memory for it")))
}

/// Where a script uses the name in a way that may declare arguments.
#[derive(Default)]
struct Mentions {
    any: bool,
    /// Where it looks like the assignment, judged without a syntax tree.
    assigned: Option<Position>,
}

fn mentions(source: &str) -> Mentions {
    let mut found = Mentions::default();
    let (mut before, mut named): (Option<Token>, Option<(Position, bool)>) = (None, None);
    let mut depth = 0_usize;
    for token in repair::tokens(source) {
        let symbol = match token.token_type() {
            TokenType::Symbol { symbol } => Some(*symbol),
            _ => None,
        };
        match symbol {
            Some(Symbol::LeftBrace | Symbol::LeftParen | Symbol::LeftBracket) => depth += 1,
            Some(Symbol::RightBrace | Symbol::RightParen | Symbol::RightBracket) => {
                depth = depth.saturating_sub(1);
            }
            _ => {}
        }
        if let Some((position, declares)) = named.take() {
            found.any |= matches!(symbol, Some(Symbol::Equal | Symbol::Comma | Symbol::LessThan));
            if declares && symbol == Some(Symbol::Equal) {
                found.assigned.get_or_insert(position);
            }
        }
        let after = |symbols: &[Symbol]| {
            before.as_ref().is_some_and(|before| match before.token_type() {
                TokenType::Symbol { symbol } => symbols.contains(symbol),
                _ => false,
            })
        };
        match token.token_type() {
            TokenType::Identifier { identifier } if identifier.as_str() == NAME => {
                let plain = depth == 0 && !after(&[Symbol::Local, Symbol::Dot, Symbol::Colon]);
                found.any |= after(&[Symbol::Function, Symbol::Local]);
                named = Some((token.start_position(), plain));
            }
            TokenType::StringLiteral { literal, .. } => found.any |= literal.as_str() == NAME,
            _ => {}
        }
        before = Some(token);
    }
    found
}

fn declared(ast: &Ast, walked: &WalkResult<'_>) -> Result<Option<ArgsTable>, LintFinding> {
    let mut declaration: Option<(&TokenReference, &Assignment)> = None;
    for statement in ast.nodes().stmts() {
        match statement {
            Stmt::LocalAssignment(local) => look_alike(local)?,
            Stmt::Assignment(assignment) => {
                let Some(name) = assignment.variables().iter().find_map(named) else { continue };
                if walked.scopes.binding_of(name).is_some() {
                    if assignment.expressions().iter().any(declares) {
                        return Err(LintFinding::on(
                            name,
                            not_global("this assigns a local variable, which"),
                        ));
                    }
                } else if let Some((first, _)) = declaration {
                    let line = line(first);
                    return Err(LintFinding::on(
                        name,
                        format!(
                            "`{NAME}` is assigned a second time, after line {line}; declare all arguments in one table"
                        ),
                    ));
                } else {
                    declaration = Some((name, assignment));
                }
            }
            _ => {}
        }
    }
    let top = declaration.map(|(name, _)| name.token().start_position());
    let uses = walked.scopes.globals.get(NAME);
    for (name, to_function) in uses.into_iter().flat_map(|uses| &uses.set) {
        if Some(name.token().start_position()) == top {
            continue;
        }
        let message = if *to_function {
            format!(
                "a global function cannot have the name `{NAME}`, which declares the arguments; write `local function {NAME}`"
            )
        } else {
            format!(
                "`{NAME}` declares the arguments of the script, once and at its top level, and this is in a block or a function; for a variable of your own write `local {NAME}`"
            )
        };
        return Err(LintFinding::on(name, message));
    }
    in_environment(walked, declaration.is_some())?;
    let Some((name, assignment)) = declaration else { return Ok(None) };
    if let Some(read) = uses.and_then(|uses| uses.first) {
        return Err(LintFinding::on(
            read,
            format!(
                "`{NAME}` is the declaration here and has no values; `function main({NAME})` gets them, and `arg` has them everywhere"
            ),
        ));
    }
    let fields = constants::table(value_of(name, assignment)?)?;
    Ok(Some(ArgsTable { line: line(name), fields }))
}

/// The table of the assignment.
fn value_of<'a>(
    name: &TokenReference,
    assignment: &'a Assignment,
) -> Result<&'a full_moon::ast::TableConstructor, LintFinding> {
    let mut values = assignment.expressions().iter();
    match (assignment.variables().len(), values.next(), values.next()) {
        (1, Some(Expression::TableConstructor(table)), None) => Ok(table),
        (1, Some(other), None) => Err(LintFinding::on(
            name,
            format!(
                "`{NAME}` declares the arguments of the script as a table that is written out, such as `{LIKE}`, and not as `{}`; for a variable of your own write `local {NAME}`",
                shown(other)
            ),
        )),
        _ => Err(LintFinding::on(name, format!("`{NAME}` is assigned alone: `{LIKE}`"))),
    }
}

/// Refuses a local variable with a table that looks like a declaration.
fn look_alike(local: &LocalAssignment) -> Result<(), LintFinding> {
    let Some(name) = local.names().iter().find(|name| name.token().to_string() == NAME) else {
        return Ok(());
    };
    if local.expressions().iter().any(declares) {
        return Err(LintFinding::on(name, not_global("a local variable")));
    }
    Ok(())
}

fn not_global(what: &str) -> String {
    format!(
        "{what} declares no arguments; write `{NAME} = {{ … }}` without a local variable of this name, or choose another name"
    )
}

/// Whether an expression is a list of tables with a name and a type.
fn declares(expression: &Expression) -> bool {
    let Expression::TableConstructor(table) = expression else { return false };
    let Ok(items) = constants::table(table) else { return false };
    items.iter().any(|item| {
        let Constant::Table(fields) = &item.value else { return false };
        ["name", "type"].iter().all(|key| fields.iter().any(|field| field.key.as_deref() == Some(key)))
    })
}

/// Refuses the name as a field of the table of all globals.
fn in_environment(walked: &WalkResult<'_>, declared: bool) -> Result<(), LintFinding> {
    for chain in &walked.chains {
        let (Prefix::Name(name), Some(first)) = (chain.prefix, chain.suffixes.first()) else { continue };
        let environment = name.token().to_string();
        let is_set = chain.target && chain.suffixes.len() == 1;
        if ENVIRONMENTS.contains(&environment.as_str())
            && walked.scopes.binding_of(name).is_none()
            && member(first).is_some_and(|member| member.name == NAME)
            && (is_set || declared)
        {
            return Err(LintFinding::on(
                name,
                format!(
                    "`{environment}.{NAME}` cannot be read without running the script; declare arguments by `{LIKE}`"
                ),
            ));
        }
    }
    Ok(())
}

fn named(variable: &Var) -> Option<&TokenReference> {
    match variable {
        Var::Name(name) if name.token().to_string() == NAME => Some(name),
        _ => None,
    }
}

fn line(token: &TokenReference) -> usize {
    token.token().start_position().line()
}
