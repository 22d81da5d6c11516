//! How deeply a script nests, measured before it is parsed: the parser recurses, and would overflow its stack where Lua
//! gives an error.

use full_moon::LuaVersion;
use full_moon::tokenizer::{Lexer, LexerResult, Symbol, TokenType};

use super::Finding;

/// Levels at which Lua 5.4 refuses a script (`LUAI_MAXCCALLS`): brackets, blocks, and operators that nest to the right.
const MAX_LEVELS: usize = 200;

/// Operators in one expression beyond which a script is left to Lua.
const MAX_OPERATORS: usize = 1000;

/// What the measure says.
#[derive(Debug)]
pub(super) enum Nesting {
    Fine,
    /// Lua refuses it.
    TooDeep(Finding),
    /// Lua may take it, this parser could not.
    TooLong,
}

/// One open bracket or block: the operators in it so far, and those of them that nest to the right.
#[derive(Default)]
struct Level {
    nesting: usize,
    operators: usize,
}

pub(super) fn measure(source: &str) -> Nesting {
    let mut lexer = Lexer::new_lazy(source, LuaVersion::lua54());
    let mut levels = vec![Level::default()];
    // Sums over all levels, and how many prefix operators stand directly one after the other.
    let (mut nesting, mut operators, mut prefixes) = (0_usize, 0_usize, 0_usize);
    while let Some(result) = lexer.process_next() {
        let (LexerResult::Ok(token) | LexerResult::Recovered(token, _)) = result else { continue };
        if token.token_type().is_trivia() {
            continue;
        }
        let step = match token.token_type() {
            TokenType::Symbol { symbol } => step(*symbol),
            _ => Step::Other,
        };
        prefixes = if matches!(step, Step::Prefix) { prefixes + 1 } else { 0 };
        if matches!(step, Step::Open) {
            levels.push(Level::default());
        }
        if let Some(level) = levels.last_mut() {
            match step {
                Step::Nest => {
                    level.nesting += 1;
                    nesting += 1;
                }
                Step::Operate => nesting -= std::mem::take(&mut level.nesting),
                Step::Close | Step::Separate => {
                    nesting -= std::mem::take(&mut level.nesting);
                    operators -= std::mem::take(&mut level.operators);
                }
                Step::Open | Step::Prefix | Step::Other => {}
            }
            if matches!(step, Step::Nest | Step::Operate | Step::Prefix) {
                level.operators += 1;
                operators += 1;
            }
        }
        if matches!(step, Step::Close) && levels.len() > 1 {
            levels.pop();
        }
        if levels.len() + nesting + prefixes > MAX_LEVELS + 1 {
            let message = format!(
                "nested too deeply: Lua takes at most {MAX_LEVELS} levels of brackets, blocks and operators"
            );
            return Nesting::TooDeep(Finding::at(token.start_position(), message));
        }
        if operators > MAX_OPERATORS {
            return Nesting::TooLong;
        }
    }
    Nesting::Fine
}

/// What a token does to the nesting.
#[derive(Clone, Copy)]
enum Step {
    /// Begins a level.
    Open,
    /// Ends one.
    Close,
    /// Ends an expression.
    Separate,
    /// An operator that groups to the right: each one nests in the one before.
    Nest,
    /// Any other operator.
    Operate,
    /// An operator that can stand before its operand.
    Prefix,
    Other,
}

const fn step(symbol: Symbol) -> Step {
    use Symbol as S;
    match symbol {
        S::LeftParen | S::LeftBrace | S::LeftBracket | S::Function | S::Do | S::If | S::Repeat => Step::Open,
        S::RightParen | S::RightBrace | S::RightBracket | S::End | S::Until => Step::Close,
        S::TwoDots | S::Caret => Step::Nest,
        S::Not | S::Hash | S::Minus | S::Tilde => Step::Prefix,
        S::And
        | S::Or
        | S::Plus
        | S::Star
        | S::Slash
        | S::DoubleSlash
        | S::Percent
        | S::Ampersand
        | S::Pipe
        | S::DoubleLessThan
        | S::DoubleGreaterThan
        | S::TwoEqual
        | S::TildeEqual
        | S::LessThan
        | S::LessThanEqual
        | S::GreaterThan
        | S::GreaterThanEqual => Step::Operate,
        S::True | S::False | S::Nil | S::Dot | S::Colon | S::Ellipsis => Step::Other,
        _ => Step::Separate,
    }
}
