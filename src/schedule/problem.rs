//! The error of a declaration that makes no sense.

use std::fmt;

/// What is wrong with a declaration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclarationError {
    /// The argument or option.
    pub field: &'static str,
    /// What is wrong and what is right, with the field's name first.
    pub message: String,
}

impl DeclarationError {
    pub(super) fn new(field: &'static str, what: impl fmt::Display) -> Self {
        Self { field, message: format!("{field}: {what}") }
    }
}
