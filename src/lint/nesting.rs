//! Measures how deeply a script nests before it is parsed, because the parser recurses and would overflow its stack
//! where Lua reports an error.

use full_moon::LuaVersion;
use full_moon::tokenizer::{Lexer, LexerResult, Symbol, TokenType};

use super::LintFinding;

/// The nesting level at which Lua 5.4 refuses a script (`LUAI_MAXCCALLS`): brackets, blocks, and right-associative
/// operators.
const MAX_LEVELS: usize = 200;

/// The maximum number of operators in one expression. A script with more is left to Lua.
const MAX_OPERATORS: usize = 1000;

/// The result of the measurement.
#[derive(Debug)]
pub(super) enum NestingCheck {
    Fine,
    /// Lua refuses the script.
    TooDeep(LintFinding),
    /// Lua may accept the script, but this parser could not handle it.
    TooLong,
}

/// An open bracket or block: the number of its operators so far, and how many of them nest to the right.
#[derive(Default)]
struct NestingLevel {
    nesting: usize,
    operators: usize,
}

pub(super) fn measure(source: &str) -> NestingCheck {
    let mut lexer = Lexer::new_lazy(source, LuaVersion::lua54());
    let mut levels = vec![NestingLevel::default()];
    // `nesting` and `operators` are sums over all levels. `prefixes` counts prefix operators in direct sequence.
    let (mut nesting, mut operators, mut prefixes) = (0_usize, 0_usize, 0_usize);
    while let Some(result) = lexer.process_next() {
        let (LexerResult::Ok(token) | LexerResult::Recovered(token, _)) = result else { continue };
        if token.token_type().is_trivia() {
            continue;
        }
        let step = match token.token_type() {
            TokenType::Symbol { symbol } => step(*symbol),
            _ => TokenNesting::Other,
        };
        prefixes = if matches!(step, TokenNesting::Prefix) { prefixes + 1 } else { 0 };
        if matches!(step, TokenNesting::Open) {
            levels.push(NestingLevel::default());
        }
        if let Some(level) = levels.last_mut() {
            match step {
                TokenNesting::Nest => {
                    level.nesting += 1;
                    nesting += 1;
                }
                TokenNesting::Operate => nesting -= std::mem::take(&mut level.nesting),
                TokenNesting::Close | TokenNesting::Separate => {
                    nesting -= std::mem::take(&mut level.nesting);
                    operators -= std::mem::take(&mut level.operators);
                }
                TokenNesting::Open | TokenNesting::Prefix | TokenNesting::Other => {}
            }
            if matches!(step, TokenNesting::Nest | TokenNesting::Operate | TokenNesting::Prefix) {
                level.operators += 1;
                operators += 1;
            }
        }
        if matches!(step, TokenNesting::Close) && levels.len() > 1 {
            levels.pop();
        }
        if levels.len() + nesting + prefixes > MAX_LEVELS + 1 {
            let message = format!(
                "nested too deeply: Lua allows at most {MAX_LEVELS} levels of brackets, blocks and operators"
            );
            return NestingCheck::TooDeep(LintFinding::at(token.start_position(), message));
        }
        if operators > MAX_OPERATORS {
            return NestingCheck::TooLong;
        }
    }
    NestingCheck::Fine
}

/// The effect of a token on the nesting.
#[derive(Clone, Copy)]
enum TokenNesting {
    /// Begins a level.
    Open,
    /// Ends a level.
    Close,
    /// Ends an expression.
    Separate,
    /// A right-associative operator: each one nests in the one before.
    Nest,
    /// Any other operator.
    Operate,
    /// An operator that can precede its operand.
    Prefix,
    Other,
}

const fn step(symbol: Symbol) -> TokenNesting {
    use Symbol as S;
    match symbol {
        S::LeftParen | S::LeftBrace | S::LeftBracket | S::Function | S::Do | S::If | S::Repeat => {
            TokenNesting::Open
        }
        S::RightParen | S::RightBrace | S::RightBracket | S::End | S::Until => TokenNesting::Close,
        S::TwoDots | S::Caret => TokenNesting::Nest,
        S::Not | S::Hash | S::Minus | S::Tilde => TokenNesting::Prefix,
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
        | S::GreaterThanEqual => TokenNesting::Operate,
        S::True | S::False | S::Nil | S::Dot | S::Colon | S::Ellipsis => TokenNesting::Other,
        _ => TokenNesting::Separate,
    }
}
