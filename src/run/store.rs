//! The scripts' durable data: namespaces, limits, and the changes that a rehearsal would make.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::ledger::{AddResult, Ledger, LedgerError};
use crate::protocol::{FailureKind, RequestFailure, STORE_KEY_BYTES as KEY_BYTES, StoreRequest, StoreStep};

/// The largest value as JSON, in bytes.
pub(super) const VALUE_BYTES: usize = 256 * 1024;
/// The most entries on a page.
const PAGE: u32 = 200;
/// A page ends once it has this many bytes.
pub(super) const PAGE_BYTES: usize = 1024 * 1024;

/// The durable data that one run may read and change.
#[derive(Debug)]
pub struct ScriptStore {
    /// The script's own namespace.
    own: String,
    /// The changes that the run makes, recorded in a rehearsal.
    changes: Option<RefCell<BTreeMap<(String, String), StoreChange>>>,
}

/// The last change to one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoreChange {
    /// `set` or `delete`.
    pub change: &'static str,
    /// The owner of the data: a script's file, or the name passed to `store.open`.
    pub of: String,
    /// The key of the entry.
    pub key: String,
    /// The new value; `None` for a deletion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
}

impl ScriptStore {
    /// Creates the store of a script. `script` is its path relative to the project.
    pub fn new(script: &str) -> Self {
        Self { own: format!("script:{script}"), changes: None }
    }

    /// Returns the same store, which also records its changes. Its ledger must be a temporary one.
    pub fn listing(self) -> Self {
        Self { changes: Some(RefCell::default()), ..self }
    }

    /// Returns the changes, ordered by script and key. It is empty unless the store records changes.
    pub fn changes(&self) -> Vec<StoreChange> {
        self.changes.as_ref().map(|changes| changes.borrow().values().cloned().collect()).unwrap_or_default()
    }

    /// Carries out a request of a script and returns the answer as JSON. Without a ledger every read is empty and
    /// every write fails.
    pub(super) async fn answer(
        &self,
        request: StoreRequest,
        ledger: Option<&Ledger>,
        clock: &Clock,
    ) -> Result<String, RequestFailure> {
        let StoreRequest { space, step } = request;
        check(space.as_deref(), &step)?;
        let namespace = space.map_or_else(|| self.own.clone(), |name| format!("shared:{name}"));
        let Some(ledger) = ledger else {
            return match step {
                StoreStep::Get(_) => Ok(json!([]).to_string()),
                StoreStep::List { .. } => Ok(json!({ "items": [] }).to_string()),
                _ => Err(RequestFailure::denied(
                    "the store keeps its values in the ledger, and this run has none; run the script with `mooncast run`",
                )),
            };
        };
        let done = self.step(ledger, &namespace, step, clock).await;
        done.map_err(|error| fault(&error))?
    }

    async fn step(
        &self,
        ledger: &Ledger,
        space: &str,
        step: StoreStep,
        clock: &Clock,
    ) -> Result<Result<String, RequestFailure>, LedgerError> {
        let expires = |ttl_ms: Option<u64>| ttl_ms.map(|ttl| clock.unix_time() + Duration::from_millis(ttl));
        Ok(Ok(match step {
            StoreStep::Get(key) => match ledger.data_get(space, &key).await? {
                Some(text) => format!("[{}]", kept(&text)),
                None => "[]".to_owned(),
            },
            StoreStep::Set { key, value, ttl_ms } => {
                let value = ordered(&value);
                ledger.data_set(space, &key, &value, expires(ttl_ms)).await?;
                self.note(space, key, Some(&value));
                "null".to_owned()
            }
            StoreStep::Delete(key) => {
                let was_there = ledger.data_delete(space, &key).await?;
                if was_there {
                    self.note(space, key, None);
                }
                was_there.to_string()
            }
            StoreStep::Swap { key, expected, new, ttl_ms } => {
                let (expected, new) = (expected.map(|text| ordered(&text)), new.map(|text| ordered(&text)));
                let swapped = ledger
                    .data_swap(space, &key, expected.as_deref(), new.as_deref(), expires(ttl_ms))
                    .await?;
                if swapped {
                    self.note(space, key, new.as_deref());
                }
                swapped.to_string()
            }
            StoreStep::Increment { key, by, ttl_ms } => {
                match ledger.data_add(space, &key, by, expires(ttl_ms)).await? {
                    AddResult::Now(sum) => {
                        self.note(space, key, Some(&sum.to_string()));
                        sum.to_string()
                    }
                    AddResult::NoNumber(held) => return Ok(Err(no_number(&key, &held))),
                    AddResult::TooLarge(held) => {
                        let message =
                            format!("by: `{key}` is {held}, and with {by} it would not fit into 64 bits");
                        return Ok(Err(RequestFailure::invalid("by", message)));
                    }
                }
            }
            StoreStep::List { prefix, after } => page(ledger, space, &prefix, after.as_deref()).await?,
        }))
    }

    fn note(&self, space: &str, key: String, value: Option<&str>) {
        let Some(changes) = &self.changes else { return };
        let value = value.map(parsed);
        let of = space.split_once(':').map_or(space, |(_, name)| name).to_owned();
        let change = if value.is_some() { "set" } else { "delete" };
        changes.borrow_mut().insert((space.to_owned(), key.clone()), StoreChange { change, of, key, value });
    }
}

/// Returns as many entries as fit on a page, and the key at which the next page begins.
async fn page(
    ledger: &Ledger,
    space: &str,
    prefix: &str,
    after: Option<&str>,
) -> Result<String, LedgerError> {
    let found = ledger.data_list(space, prefix, after.unwrap_or_default(), PAGE, PAGE_BYTES).await?;
    let full = found.len() == PAGE as usize;
    let characters: usize = found.iter().map(|entry| entry.value.chars().count()).sum();
    let last = found.last().map(|entry| json!(entry.key)).filter(|_| full || characters > PAGE_BYTES);
    let items: Vec<_> =
        found.iter().map(|entry| format!("[{},{}]", json!(entry.key), kept(&entry.value))).collect();
    let next = last.map_or_else(String::new, |next| format!(",\"next\":{next}"));
    Ok(format!("{{\"items\":[{}]{next}}}", items.join(",")))
}

/// Returns a stored value if it is valid JSON, otherwise `null`. It is validated without being parsed into values,
/// which may take many times the memory of the text.
fn kept(text: &str) -> &str {
    if serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() { text } else { "null" }
}

/// Returns the text of a value with its fields in order. The parsed value, which may take many times the memory, is
/// dropped at once.
fn ordered(text: &str) -> String {
    parsed(text).to_string()
}

/// Parses a value. Its fields are sorted from here on, so that equal values have equal texts.
fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

/// Checks a request of a script. The worker process is not trusted.
fn check(space: Option<&str>, step: &StoreStep) -> Result<(), RequestFailure> {
    if let Some(name) = space {
        word("name", name)?;
    }
    match step {
        StoreStep::Get(key) | StoreStep::Delete(key) | StoreStep::Increment { key, .. } => word("key", key),
        StoreStep::Set { key, value: text, .. } => word("key", key).and_then(|()| value("value", text)),
        StoreStep::Swap { key, expected, new, .. } => {
            word("key", key)?;
            expected.as_deref().map_or(Ok(()), |text| value("expected", text))?;
            new.as_deref().map_or(Ok(()), |text| value("new", text))
        }
        StoreStep::List { prefix, .. } if prefix.len() > KEY_BYTES => word("prefix", prefix),
        StoreStep::List { .. } => Ok(()),
    }
}

fn word(field: &'static str, text: &str) -> Result<(), RequestFailure> {
    if (1..=KEY_BYTES).contains(&text.len()) {
        return Ok(());
    }
    let message = format!("{field}: expected 1 to {KEY_BYTES} bytes, got {}", text.len());
    Err(RequestFailure::invalid(field, message))
}

fn value(field: &'static str, text: &str) -> Result<(), RequestFailure> {
    if text.len() > VALUE_BYTES {
        let message = format!(
            "{field}: {} bytes as JSON, over the limit of {VALUE_BYTES} for one value; keep it under several keys, or in a file",
            text.len()
        );
        return Err(RequestFailure::invalid(field, message));
    }
    serde_json::from_str::<serde::de::IgnoredAny>(text)
        .map(drop)
        .map_err(|error| RequestFailure::invalid(field, format!("{field}: not JSON: {error}")))
}

fn no_number(key: &str, held: &str) -> RequestFailure {
    let shown: String = held.chars().take(60).collect();
    RequestFailure::invalid(
        "key",
        format!(
            "key: the value of `{key}` is {shown}, which is not a whole \
     number, so nothing can be added to it"
        ),
    )
}

fn fault(error: &LedgerError) -> RequestFailure {
    RequestFailure::new(FailureKind::Unreachable, format!("{error}; the script's data is in the ledger"))
}

#[cfg(test)]
mod tests {
    use super::parsed;

    #[test]
    fn equal_values_have_equal_texts() {
        let text = parsed(r#"{"b": [1, {"d": 1, "c": 2}], "a": null}"#).to_string();
        assert_eq!(text, r#"{"a":null,"b":[1,{"c":2,"d":1}]}"#);
    }
}
