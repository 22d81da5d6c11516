//! Uses of the permissions about the suppression list.

use full_moon::tokenizer::TokenReference;

/// A permission about the suppression list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SuppressionGrant {
    /// `im.suppress` needs it.
    Suppress,
    /// `override = true` needs it.
    Override,
}

/// A place of a script that needs one of these permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SuppressionUse {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    pub needs: SuppressionGrant,
}

impl SuppressionUse {
    pub(super) fn on(token: &TokenReference, needs: SuppressionGrant) -> Self {
        let position = token.token().start_position();
        Self { line: position.line(), column: position.character(), needs }
    }
}
