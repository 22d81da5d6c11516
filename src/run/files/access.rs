//! What a script wants to do with a path.

/// The access that a script requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}
