//! Rewrites what Lua 5.4 accepts and the parser does not, without moving any other character.
//!
//! The parser requires `break` to be the last statement of a block, which Lua has not required since 5.2. A label,
//! which may be anywhere, replaces it. The parser also has no empty statements; their semicolons become spaces.

use std::collections::BTreeSet;

use full_moon::LuaVersion;
use full_moon::tokenizer::{Lexer, LexerResult, Symbol, Token, TokenType};

/// Replaces a backtick, on which the lexer panics. This private-use character has no meaning in Lua.
pub(super) const BACKTICK: char = '\u{e060}';

/// Replaces the characters that the lexer does not know: two rare white space characters of Lua, and the backtick.
pub(super) fn readable(source: &str) -> String {
    source.replace(['\u{b}', '\u{c}'], " ").replace('`', BACKTICK.encode_utf8(&mut [0; 4]))
}

/// The label that replaces a `break`. It has the same length.
const STAND_IN: &str = "::b::";

/// A text that the parser accepts, and the positions of the labels that replace a `break`.
pub(super) struct RepairedText {
    pub(super) text: String,
    pub(super) breaks: BTreeSet<usize>,
}

/// An open bracket or block.
#[derive(Default)]
struct OpenBlock {
    is_table: bool,
    /// After a `return`, only its own semicolon may follow.
    returned: bool,
}

pub(super) fn repair(source: &str) -> RepairedText {
    let mut repaired = RepairedText { text: source.to_owned(), breaks: BTreeSet::new() };
    let mut levels = vec![OpenBlock::default()];
    // `fresh`: a statement can begin here. `parameters`: a function's parameter list is open.
    let (mut fresh, mut parameters) = (true, false);
    for token in tokens(source) {
        let start = token.start_position().bytes();
        let was_fresh = std::mem::take(&mut fresh);
        let TokenType::Symbol { symbol } = token.token_type() else { continue };
        match symbol {
            Symbol::Break => {
                repaired.text.replace_range(start..start + STAND_IN.len(), STAND_IN);
                repaired.breaks.insert(start);
            }
            Symbol::Semicolon => {
                let level = levels.last();
                if was_fresh {
                    repaired.text.replace_range(start..=start, " ");
                }
                fresh = level.is_some_and(|level| !level.is_table && !level.returned);
            }
            Symbol::Return => levels.last_mut().into_iter().for_each(|level| level.returned = true),
            Symbol::Then | Symbol::Else => {
                levels.last_mut().into_iter().for_each(|level| level.returned = false);
                fresh = true;
            }
            Symbol::Do | Symbol::If | Symbol::Repeat | Symbol::Function | Symbol::LeftBrace => {
                levels.push(OpenBlock { is_table: matches!(symbol, Symbol::LeftBrace), returned: false });
                fresh = matches!(symbol, Symbol::Do | Symbol::Repeat);
                parameters |= matches!(symbol, Symbol::Function);
            }
            Symbol::End | Symbol::Until | Symbol::RightBrace => {
                levels.pop();
            }
            Symbol::RightParen => fresh = std::mem::take(&mut parameters),
            _ => {}
        }
    }
    repaired
}

/// The tokens of a script, without comments and white space.
pub(super) fn tokens(source: &str) -> impl Iterator<Item = Token> {
    let mut lexer = Lexer::new_lazy(source, LuaVersion::lua54());
    std::iter::from_fn(move || lexer.process_next())
        .filter_map(|result| match result {
            LexerResult::Ok(token) | LexerResult::Recovered(token, _) => Some(token),
            LexerResult::Fatal(_) => None,
        })
        .filter(|token| !token.token_type().is_trivia())
}

#[cfg(test)]
mod tests {
    use super::repair;

    #[test]
    fn only_empty_statements_and_breaks_are_changed() {
        for (source, repaired) in [
            (";;f();;", "  f(); "),
            ("do ; end", "do   end"),
            ("function f(a) ; return; ; end", "function f(a)   return; ; end"),
            ("t = { 1; 2 }; ;", "t = { 1; 2 };  "),
            ("t = { 1;; 2 }", "t = { 1;; 2 }"),
            ("while a do break f() end", "while a do ::b:: f() end"),
            ("a = f; (g)()", "a = f; (g)()"),
        ] {
            assert_eq!(repair(source).text, repaired);
        }
    }
}
