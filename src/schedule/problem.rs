//! The error of an invalid declaration.

use std::fmt;

/// Why a declaration is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclarationError {
    /// The argument or option at fault.
    pub field: &'static str,
    /// What is wrong and what would be right, with the field's name first.
    pub message: String,
}

impl DeclarationError {
    pub(super) fn new(field: &'static str, what: impl fmt::Display) -> Self {
        Self { field, message: format!("{field}: {what}") }
    }
}
