//! The receipts of messages.

/// The (group id, message id) of each group that has the message.
pub type Receipts = Vec<(String, String)>;
