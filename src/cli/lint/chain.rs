//! A name or value with what follows it: `im.app("b").group_send({ … })`.

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
    /// Whether it stands where it is run on a condition, or where its error is caught.
    pub(super) guarded: bool,
    /// The names of the functions that it stands in.
    pub(super) within: Vec<String>,
}

/// A member that is taken by a name that stands in the script.
pub(super) struct NamedMember<'a> {
    pub(super) name: String,
    pub(super) token: &'a TokenReference,
}

/// The member that a suffix takes: `.name` or `["name"]`.
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

/// The arguments of a call, in the three ways of writing them.
#[derive(Clone, Copy)]
pub(super) enum CallArguments<'a> {
    Value(&'a Expression),
    Text(&'a TokenReference),
    Table(&'a TableConstructor),
}

/// The arguments that a suffix calls with; none where it is no plain call.
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
    /// Where the argument begins, where that is a word or a text.
    pub(super) fn token(&self) -> Option<&'a TokenReference> {
        match self {
            Self::Value(expression) => first_token(expression),
            Self::Text(token) => Some(token),
            Self::Table(table) => Some(table.braces().tokens().0),
        }
    }
}

/// Where an expression begins.
pub(super) fn first_token(expression: &Expression) -> Option<&TokenReference> {
    expression.tokens().next()
}
