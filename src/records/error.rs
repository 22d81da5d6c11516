//! Why a callback or a line of a history file cannot be read. The texts name fields, never their values.

/// A record of the service that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The text is not JSON, or a field that signs a callback is missing, doubled or of another type.
    #[error(
        "expected a JSON object with the fields of the service; reading stopped at line {line}, column {column}"
    )]
    Json {
        /// From 1.
        line: usize,
        /// From 1; 0 at the start of a line.
        column: usize,
    },
    /// A field is missing, is empty, or has another type than the service documents.
    #[error("the field `{0}` is missing or has an unexpected value")]
    Field(&'static str),
    /// Two fields that must be the same differ.
    #[error("the fields `{0}` and `{1}` differ")]
    Contradiction(&'static str, &'static str),
}

impl From<serde_json::Error> for RecordError {
    /// Keeps the place only: the message of a JSON error quotes values.
    fn from(error: serde_json::Error) -> Self {
        Self::Json { line: error.line(), column: error.column() }
    }
}
