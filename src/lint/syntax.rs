//! Parses a script, and describes syntax errors in plain words.

use std::collections::BTreeSet;

use full_moon::ast::Ast;
use full_moon::tokenizer::{Symbol, Token, TokenType, TokenizerErrorType};
use full_moon::{Error, LuaVersion};

use super::LintFinding;
use super::repair::{self, RepairedText, repair};

pub(super) struct ParsedScript {
    pub(super) ast: Ast,
    /// The positions of labels that replace a `break`.
    pub(super) breaks: BTreeSet<usize>,
}

pub(super) fn parse(source: &str) -> Result<ParsedScript, LintFinding> {
    let result = full_moon::parse_fallible(source, LuaVersion::lua54());
    let Some(error) = result.errors().first() else {
        let parsed = ParsedScript { ast: result.into_ast(), breaks: BTreeSet::new() };
        return after_return(source).map_or(Ok(parsed), Err);
    };
    let RepairedText { text, breaks } = repair(source);
    let second = full_moon::parse_fallible(&text, LuaVersion::lua54());
    if text != source && second.errors().is_empty() {
        let parsed = ParsedScript { ast: second.into_ast(), breaks };
        return after_return(source).map_or(Ok(parsed), Err);
    }
    Err(finding(error, source))
}

/// Finds a `return` or `break` after a `return` at the top level of the script. The parser would replace that `return`
/// with it.
fn after_return(source: &str) -> Option<LintFinding> {
    let (mut depth, mut returned) = (0_usize, false);
    for token in repair::tokens(source) {
        let TokenType::Symbol { symbol } = token.token_type() else { continue };
        match symbol {
            Symbol::Do | Symbol::If | Symbol::Repeat | Symbol::Function => depth += 1,
            Symbol::End | Symbol::Until => depth = depth.saturating_sub(1),
            Symbol::Return | Symbol::Break if depth == 0 && returned => {
                return Some(LintFinding::at(token.start_position(), unreachable(&format!("`{token}`"))));
            }
            Symbol::Return if depth == 0 => returned = true,
            _ => {}
        }
    }
    None
}

fn unreachable(what: &str) -> String {
    format!("{what} can never be reached: `return` must be the last line of its block")
}

/// The parser's first error in plain words.
fn finding(error: &Error, source: &str) -> LintFinding {
    let (start, _) = error.range();
    match error {
        Error::TokenizerError(error) => {
            LintFinding::at(start, unreadable(error.error(), source, start.bytes()))
        }
        Error::AstError(error) => {
            let (reason, token) = (error.error_message(), error.token());
            match unclosed(reason, token, source) {
                Some(opening) => {
                    LintFinding::at(opening.start_position(), format!("this `{opening}` has no `end`"))
                }
                None => LintFinding::at(token.start_position(), misplaced(reason, token)),
            }
        }
    }
}

/// The keyword that begins the block without an end.
fn unclosed(reason: &str, at: &Token, source: &str) -> Option<Token> {
    if !reason.starts_with("expected `end` to c") {
        return None;
    }
    let mut open: Vec<Token> = Vec::new();
    for token in repair::tokens(source).take_while(|token| token.start_position() < at.start_position()) {
        match token.token_type() {
            TokenType::Symbol { symbol: Symbol::Do }
                if open.last().is_some_and(|open| matches!(open.to_string().as_str(), "for" | "while")) => {}
            TokenType::Symbol {
                symbol:
                    Symbol::Do | Symbol::If | Symbol::Function | Symbol::Repeat | Symbol::For | Symbol::While,
            } => open.push(token),
            TokenType::Symbol { symbol: Symbol::End | Symbol::Until } => {
                open.pop();
            }
            _ => {}
        }
    }
    open.pop()
}

/// A text that is not a token.
fn unreadable(error: &TokenizerErrorType, source: &str, at: usize) -> String {
    match error {
        TokenizerErrorType::UnclosedComment => "this comment is not closed; close it with `]]`".into(),
        TokenizerErrorType::UnclosedString => {
            "this string is not closed on its line; close it with the same quote".into()
        }
        TokenizerErrorType::InvalidNumber => {
            let number: String = source[at..].chars().take_while(|c| !c.is_whitespace()).take(30).collect();
            format!("`{number}` is not a number")
        }
        TokenizerErrorType::UnexpectedToken(sign) => strange_sign(*sign),
        TokenizerErrorType::InvalidSymbol(symbol) => format!("`{symbol}` is not valid in Lua"),
    }
}

/// A character without a meaning in Lua, with a hint if it is common in other languages or on some keyboards.
fn strange_sign(sign: char) -> String {
    let sign = if sign == repair::BACKTICK { '`' } else { sign };
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
        '$' | '@' | '?' => "remove it",
        _ => "write text between quotes",
    };
    let shown = if sign.is_control() || sign.is_whitespace() {
        format!("the character {}", sign.escape_unicode())
    } else {
        format!("`{sign}`")
    };
    format!("{shown} is not valid in Lua here; {hint}")
}

/// A token in the wrong place.
fn misplaced(reason: &str, found: &Token) -> String {
    let token = &found.to_string();
    let here = match found.token_type() {
        TokenType::Eof => "the end of the file".to_owned(),
        TokenType::StringLiteral { .. } => "a text".to_owned(),
        _ => format!("`{token}`"),
    };
    match (reason, token.as_str()) {
        ("expected `then` after condition", "=") => {
            "`=` sets a value; to compare two values write `==`".into()
        }
        (
            "unexpected expression when looking for a statement" | "expected `=` after name",
            "+" | "-" | "*" | "/" | ".." | "%",
        ) => {
            format!("`{token}` is not valid here; to change a value write it in full, like `x = x {token} 1`")
        }
        ("unexpected expression when looking for a statement", _) => {
            format!("{here} alone is not a statement; write an assignment (`name = …`) or a call (`name(…)`)")
        }
        (
            "unexpected token, this needs to be a statement",
            "end" | "until" | "else" | "elseif" | "}" | ")" | "]",
        ) => {
            format!("{here} closes no block; remove it, or add the block's missing beginning")
        }
        ("unexpected token, this needs to be a statement", "=") => {
            "`=` is not valid here: only a name or a field can be assigned, not a call".into()
        }
        ("unexpected token, this needs to be a statement", _) => format!("{here} is not valid here"),
        ("unexpected statement after last statement", _) => unreachable(&here),
        ("expected `=` after name", _) => {
            format!("expected `=` or `(` before {here}: a statement is an assignment or a call")
        }
        ("expected `}` after last field", _) => {
            format!("expected `,` or `}}` before {here}: fields of a table are separated by commas")
        }
        (reason, _) => format!("{}; found {here}", reason.trim_end_matches('.')),
    }
}
