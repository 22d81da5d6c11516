//! From text to a tree, and what stands in the way, in plain words.

use std::collections::BTreeSet;

use full_moon::ast::Ast;
use full_moon::tokenizer::{Lexer, LexerResult, Symbol, TokenType, TokenizerErrorType};
use full_moon::{Error, LuaVersion};

use super::Finding;

/// A script that could be read.
pub(super) struct Parsed {
    pub(super) ast: Ast,
    /// Where labels of the tree stand for a `break`.
    pub(super) breaks: BTreeSet<usize>,
}

/// Reads a script.
///
/// # Errors
///
/// The first thing that is no Lua.
pub(super) fn parse(source: &str) -> Result<Parsed, Finding> {
    let result = full_moon::parse_fallible(source, LuaVersion::lua54());
    let Some(error) = result.errors().first() else {
        return Ok(Parsed { ast: result.into_ast(), breaks: BTreeSet::new() });
    };
    // The parser takes `break` for the last statement of its block, which it has not been since Lua 5.2. A label, which
    // may stand anywhere and is as long, goes in its place.
    let breaks = breaks(source);
    let mut replaced = source.to_owned();
    for start in &breaks {
        replaced.replace_range(*start..start + "break".len(), "::b::");
    }
    let second = full_moon::parse_fallible(&replaced, LuaVersion::lua54());
    if !breaks.is_empty() && second.errors().is_empty() {
        return Ok(Parsed { ast: second.into_ast(), breaks });
    }
    Err(finding(error, source))
}

fn breaks(source: &str) -> BTreeSet<usize> {
    let mut lexer = Lexer::new_lazy(source, LuaVersion::lua54());
    std::iter::from_fn(|| lexer.process_next())
        .filter_map(|result| match result {
            LexerResult::Ok(token) | LexerResult::Recovered(token, _) => Some(token),
            LexerResult::Fatal(_) => None,
        })
        .filter(|token| matches!(token.token_type(), TokenType::Symbol { symbol: Symbol::Break }))
        .map(|token| token.start_position().bytes())
        .collect()
}

/// The parser's first error in plain words.
fn finding(error: &Error, source: &str) -> Finding {
    let (start, _) = error.range();
    match error {
        Error::TokenizerError(error) => Finding::at(start, unreadable(error.error(), source, start.bytes())),
        Error::AstError(error) => {
            let token = error.token();
            let at = if opens_block(error.error_message()) { start } else { token.start_position() };
            Finding::at(at, misplaced(error.error_message(), &token.to_string(), token.token_type()))
        }
    }
}

/// Whether the error is of a block without an end: it is found where the block begins.
fn opens_block(reason: &str) -> bool {
    reason.starts_with("expected `end` to close")
}

/// What cannot even be read as a word or sign.
fn unreadable(error: &TokenizerErrorType, source: &str, at: usize) -> String {
    match error {
        TokenizerErrorType::UnclosedComment => "this comment is never closed; it ends with `]]`".into(),
        TokenizerErrorType::UnclosedString => {
            "this text is not closed on its line; end it with the same quote".into()
        }
        TokenizerErrorType::InvalidNumber => {
            let number: String = source[at..].chars().take_while(|c| !c.is_whitespace()).take(30).collect();
            format!("`{number}` is no number")
        }
        TokenizerErrorType::UnexpectedToken(sign) => strange_sign(*sign),
        TokenizerErrorType::InvalidSymbol(symbol) => format!("`{symbol}` means nothing in Lua"),
    }
}

/// A character with no meaning in Lua; the ones that other languages and keyboards put there get a hint.
fn strange_sign(sign: char) -> String {
    let hint = match sign {
        '“' | '”' | '„' | '«' | '»' | '＂' => "write a plain double quote (\")",
        '‘' | '’' | '`' | '＇' => "write a plain single quote (')",
        '，' | '、' => "write a plain comma (,)",
        '（' => "write a plain bracket: (",
        '）' => "write a plain bracket: )",
        '｛' => "write a plain brace: {",
        '｝' => "write a plain brace: }",
        '＝' => "write a plain equals sign (=)",
        '：' => "write a plain colon (:)",
        '；' => "write a plain semicolon (;)",
        '。' | '．' => "write a plain full stop (.)",
        '\u{a0}' | '\u{3000}' => "write a plain space",
        '!' => "for \"not equal\" write ~=, for \"not\" write not",
        '$' | '@' | '?' => "take it out",
        _ => "text goes between quotes",
    };
    let shown = if sign.is_control() || sign.is_whitespace() {
        format!("the character {}", sign.escape_unicode())
    } else {
        format!("`{sign}`")
    };
    format!("{shown} means nothing in Lua here; {hint}")
}

/// A word or sign where it does not belong.
fn misplaced(reason: &str, token: &str, kind: &TokenType) -> String {
    let here = match kind {
        TokenType::Eof => "the end of the file".to_owned(),
        TokenType::StringLiteral { .. } => "a text".to_owned(),
        _ => format!("`{token}`"),
    };
    if let Some(block) = reason.strip_prefix("expected `end` to close ") {
        let block = block.trim_end_matches(" block");
        return format!("this `{}` has no `end`", if block == "if" { "if" } else { block });
    }
    match (reason, token) {
        ("expected `then` after condition", "=") => {
            "`=` sets a value; to compare two values write `==`".into()
        }
        ("expected `end` to conclude `if`", _) => format!("this `if` has no `end`; found {here}"),
        ("unexpected expression when looking for a statement", _) => {
            format!("{here} alone does nothing; a line sets a value (`name = …`) or calls something (`name(…)`)")
        }
        ("unexpected token, this needs to be a statement", "end" | "until" | "else" | "elseif" | "}" | ")" | "]") => {
            format!("{here} closes nothing; there is one too many, or what it should close is missing")
        }
        ("unexpected token, this needs to be a statement", _) => format!("{here} cannot stand here"),
        ("unexpected statement after last statement", _) => {
            format!("{here} can never be reached: `return` must be the last line of its block")
        }
        ("expected `=` after name", "+" | "-" | "*" | "/" | ".." | "%") => {
            format!("Lua has no `{token}=` and no `{token}{token}`; write `x = x {token} 1`")
        }
        ("expected `=` after name", _) => {
            format!("expected `=` or `(` before {here}: a line sets a value or calls something")
        }
        ("expected `}` after last field", _) => {
            format!("expected `,` or `}}` before {here}: fields of a table are separated by commas")
        }
        (reason, _) => format!("{}; found {here}", reason.trim_end_matches('.')),
    }
}
