//! A name or value with its suffixes: `im.app("b").group_send({ … })`.

use full_moon::ast::{Call, Expression, FunctionArgs, Index, Prefix, Suffix, TableConstructor};
use full_moon::node::Node;
use full_moon::tokenizer::TokenReference;

use super::text;

/// A prefix and its suffixes.
pub(super) struct SuffixChain<'a> {
    pub(super) prefix: &'a Prefix,
    pub(super) suffixes: Vec<&'a Suffix>,
    /// Whether a value is assigned to it.
    pub(super) target: bool,
    /// Whether it is in conditional code, or in code whose errors are caught.
    pub(super) guarded: bool,
    /// The names of the enclosing functions.
    pub(super) within: Vec<String>,
}

/// A member that is accessed by a literal name.
pub(super) struct NamedMember<'a> {
    pub(super) name: String,
    pub(super) token: &'a TokenReference,
}

/// The member that a suffix accesses: `.name` or `["name"]`.
pub(super) fn member(suffix: &Suffix) -> Option<NamedMember<'_>> {
    match suffix {
        Suffix::Index(Index::Dot { name, .. }) => {
            Some(NamedMember { name: name.token().to_string(), token: name })
        }
        Suffix::Index(Index::Brackets { expression, .. }) => match &**expression {
            Expression::String(token) => Some(NamedMember { name: text::string(token).ok()??, token }),
            _ => None,
        },
        _ => None,
    }
}

/// The arguments of a call, in one of the three syntaxes.
#[derive(Clone, Copy)]
pub(super) enum CallArguments<'a> {
    Value(&'a Expression),
    Text(&'a TokenReference),
    Table(&'a TableConstructor),
}

/// The arguments of a call suffix. `None` if the suffix is not a plain call.
pub(super) fn arguments(suffix: &Suffix) -> Option<Vec<CallArguments<'_>>> {
    let Suffix::Call(Call::AnonymousCall(arguments)) = suffix else { return None };
    match &**arguments {
        FunctionArgs::Parentheses { arguments, .. } => {
            Some(arguments.iter().map(CallArguments::Value).collect())
        }
        FunctionArgs::String(token) => Some(vec![CallArguments::Text(token)]),
        FunctionArgs::TableConstructor(table) => Some(vec![CallArguments::Table(table)]),
        _ => None,
    }
}

impl<'a> CallArguments<'a> {
    /// The argument's first token, if the argument is a name or a string.
    pub(super) fn token(&self) -> Option<&'a TokenReference> {
        match self {
            Self::Value(expression) => first_token(expression),
            Self::Text(token) => Some(token),
            Self::Table(table) => Some(table.braces().tokens().0),
        }
    }
}

pub(super) fn first_token(expression: &Expression) -> Option<&TokenReference> {
    expression.tokens().next()
}
