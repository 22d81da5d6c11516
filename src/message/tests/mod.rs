//! The checks as the rest of the house sees them.

#![expect(clippy::needless_pass_by_value, reason = "`json!` written in place reads best")]

mod drafts;
mod filled;
mod malformed;
mod properties;
mod refused;
mod seed;

use serde_json::Value;

use super::{Message, MessageCall, MessageLimits, MessageProblems, check};

fn checked(call: MessageCall, message: Value) -> Result<Message, MessageProblems> {
    check(call, message, &MessageLimits::default())
}

/// What a message is sent as.
fn sent(call: MessageCall, message: Value) -> Value {
    let message = checked(call, message).unwrap_or_else(|problems| panic!("{problems}"));
    serde_json::from_slice(&message.to_json()).unwrap()
}

/// The fields that a message is refused for.
fn refused_fields(call: MessageCall, message: Value) -> Vec<String> {
    let problems = checked(call, message).expect_err("the message must be refused");
    problems.iter().map(|problem| problem.field.clone()).collect()
}
