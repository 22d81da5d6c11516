//! The message checks through their public functions.

#![expect(clippy::needless_pass_by_value, reason = "`json!` written in place reads best")]

mod drafts;
mod filled;
mod malformed;
mod newer;
mod properties;
mod refused;
mod vendor_examples;

use serde_json::Value;

use crate::core::Call;

use super::{Message, MessageLimits, MessageProblems, check};

fn checked(call: Call, message: Value) -> Result<Message, MessageProblems> {
    check(call, message, &MessageLimits::default())
}

/// Returns the JSON that is sent for a message.
fn sent(call: Call, message: Value) -> Value {
    let message = checked(call, message).unwrap_or_else(|problems| panic!("{problems}"));
    serde_json::from_slice(&message.to_json()).unwrap()
}

/// Returns the fields that the check refuses.
fn refused_fields(call: Call, message: Value) -> Vec<String> {
    let problems = checked(call, message).expect_err("the message must be refused");
    problems.iter().map(|problem| problem.field.clone()).collect()
}
