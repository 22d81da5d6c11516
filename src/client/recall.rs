//! Recalls messages.

use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::core::Call;

use super::Client;
use super::answer::LosslessText;
use super::call::CallSpec;
use super::class::Idempotency;
use super::failure::CallError;

/// The most messages that one call recalls (contract).
pub const RECALL_MAX: usize = 30;

const CALL: CallSpec = CallSpec::post("/messages/batch_recall", Idempotency::Repeatable);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recall {
    /// The message's id, from its receipt.
    pub msg_id: String,
    /// The group, user or room to which it was sent.
    pub to: String,
    /// The call that sent it.
    pub call: Call,
    /// The user that recalls it; `None` for the service's default.
    pub from: Option<String>,
    /// Whether to recall it even after the tenant's time limit (two minutes by default).
    pub force: bool,
    /// A text for the members' clients (`recallMessageExtensionInfo`).
    pub note: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecallResult {
    pub msg_id: String,
    pub recalled: bool,
    /// The service's reason if it was not recalled; empty if it gave none.
    pub note: String,
}

#[derive(Serialize)]
struct RecallRequestBody<'a> {
    msgs: Vec<RecallRequestItem<'a>>,
}

#[derive(Serialize)]
struct RecallRequestItem<'a> {
    msg_id: &'a str,
    to: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'a str>,
    chat_type: &'static str,
    force: bool,
    #[serde(rename = "recallMessageExtensionInfo", skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
}

#[derive(Deserialize)]
struct RecallResponse {
    data: Vec<RecallResponseItem>,
}

#[derive(Deserialize)]
struct RecallResponseItem {
    msg_id: LosslessText,
    #[serde(default)]
    recalled: Value,
}

impl From<RecallResponseItem> for RecallResult {
    fn from(answered: RecallResponseItem) -> Self {
        let (recalled, note) = match answered.recalled {
            Value::Bool(recalled) => (recalled, String::new()),
            Value::String(text) if text == "yes" => (true, String::new()),
            Value::String(text) => (false, text),
            _ => (false, String::new()),
        };
        Self { msg_id: answered.msg_id.0, recalled, note }
    }
}

impl Client {
    /// Recalls up to 30 messages with one call. Returns the result for each. Makes no call for an empty list. A message
    /// that is recalled twice stays recalled, so the call is safe to repeat.
    ///
    /// # Errors
    ///
    /// See [`CallError::class`]. [`super::FailureClass::Permanent`] without a call for more than 30 messages.
    pub async fn recall(&self, messages: &[Recall]) -> Result<Vec<RecallResult>, CallError> {
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        if messages.len() > RECALL_MAX {
            let count = messages.len();
            return Err(CALL.refuse(&format!("{count} messages in one recall, at most {RECALL_MAX}")));
        }
        let request_body = RecallRequestBody { msgs: messages.iter().map(RecallRequestItem::from).collect() };
        let body = serde_json::to_vec(&request_body)
            .map_err(|_| CALL.refuse("the recall cannot be written as JSON"))?;
        let body = bytes::Bytes::from(body);
        let url = self.url(&["messages", "batch_recall"]);
        let prepare = || {
            let mut request = Request::new(Method::POST, url.clone());
            request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            *request.body_mut() = Some(body.clone().into());
            Ok(request.into())
        };
        let success = self.call(CALL, prepare).await?;
        let answer: RecallResponse = success.read()?;
        Ok(answer.data.into_iter().map(RecallResult::from).collect())
    }
}

impl<'a> From<&'a Recall> for RecallRequestItem<'a> {
    fn from(recall: &'a Recall) -> Self {
        Self {
            msg_id: &recall.msg_id,
            to: &recall.to,
            from: recall.from.as_deref(),
            chat_type: match recall.call {
                Call::Group | Call::Targeted | Call::Edit => "groupchat",
                Call::User | Call::Announce => "chat",
                Call::Room => "chatroom",
            },
            force: recall.force,
            note: recall.note.as_deref(),
        }
    }
}
