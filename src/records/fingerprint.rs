//! What a message and its record have in common: a fingerprint of recipient, sender, type, body and `ext`, and a mark.
//!
//! Both sides are brought to one form first, so that the order of keys, the form of numbers and the fields that only
//! records have make no difference. A field that the service adds to the top of `ext` makes one.

use std::fmt;

use serde_json::{Number, Value};
use sha2::{Digest, Sha256};

use crate::core::Call;
use crate::message::{DEFAULT_SENDER, Draft, MessageKind};

use super::RecordError;
use super::content::Content;
use super::fields::Fields;

/// The most bytes of a mark. A longer text in `ext.mooncast` is not a mark and counts to the content.
pub const MARK_BYTES: usize = 24;

/// The field of `ext` that holds a mark.
const MARK_FIELD: &str = "mooncast";

/// The version of the form that is hashed. A stored fingerprint of another form matches nothing.
const FORM: &str = "mooncast fingerprint 1";

/// The same for a message to a user, so that a user and a group with one id are different. The service
/// reports a room as a group.
const USER_FORM: &str = "mooncast fingerprint 1 user";

/// 128 bits of a SHA-256. Equal for a message and its record; the same in each version and on each machine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    /// Restores a stored fingerprint.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes for storage.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Fingerprint({})", data_encoding::HEXLOWER.encode(&self.0))
    }
}

/// What a send and a record must have in common: equal keys fit, as far as their times do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MatchKey {
    pub fingerprint: Fingerprint,
    /// The text of `ext.mooncast`, 1 to [`MARK_BYTES`] bytes. It is not part of the fingerprint.
    pub mark: Option<String>,
}

impl MatchKey {
    /// Returns the key of a message, as it is sent to one group, user or room. A targeted message has the same key for all members:
    /// records do not name them.
    pub fn of_message(draft: &Draft, to: &str) -> Self {
        let sender = draft.from().unwrap_or(DEFAULT_SENDER);
        let none = Fields::new();
        let ext = draft.ext().unwrap_or(&none);
        let Some((kind, body)) = draft.kind().zip(draft.body()) else {
            // An edit of `ext` alone: no message has this key.
            return Self { fingerprint: CanonicalForm::default().finish(), mark: None };
        };
        let form = if draft.call() == Call::User { USER_FORM } else { FORM };
        Self::new(form, to, sender, kind, &Content::of_message(body), ext)
    }

    /// Returns the key of a record.
    ///
    /// # Errors
    ///
    /// The body lacks a field of its type.
    pub(super) fn of_record(
        is_user: bool,
        to: &str,
        sender: &str,
        kind: MessageKind,
        body: &Fields,
        ext: &Fields,
    ) -> Result<Self, RecordError> {
        let form = if is_user { USER_FORM } else { FORM };
        Ok(Self::new(form, to, sender, kind, &Content::of_record(kind, body)?, ext))
    }

    fn new(
        form: &str,
        to: &str,
        sender: &str,
        kind: MessageKind,
        content: &Content<'_>,
        ext: &Fields,
    ) -> Self {
        let mark = match ext.get(MARK_FIELD) {
            Some(Value::String(mark)) if (1..=MARK_BYTES).contains(&mark.len()) => Some(mark.clone()),
            _ => None,
        };
        let mut hashed = CanonicalForm::default();
        for part in [form, to, sender, kind.name()] {
            hashed.text(part);
        }
        hashed.content(content);
        hashed.object(ext.iter().filter(|(name, _)| mark.is_none() || *name != MARK_FIELD));
        Self { fingerprint: hashed.finish(), mark }
    }
}

/// Hashes values in a form in which different values give different bytes: each text has its length before it, and each
/// value a letter for its type.
#[derive(Default)]
struct CanonicalForm(Sha256);

impl CanonicalForm {
    fn count(&mut self, count: usize) {
        self.0.update((count as u64).to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.count(text.len());
        self.0.update(text);
    }

    fn content(&mut self, content: &Content<'_>) {
        match content {
            Content::Text(text) | Content::Command(text) => self.text(text),
            Content::Media(upload) => self.text(upload),
            Content::Location { lat, lng, addr } => {
                for part in [lat.as_str(), lng.as_str(), addr] {
                    self.text(part);
                }
            }
            Content::Custom { event, exts } => {
                self.text(event.unwrap_or_default());
                self.count(exts.len());
                for (name, value) in exts {
                    self.text(name);
                    self.text(value);
                }
            }
        }
    }

    fn object<'ext>(&mut self, entries: impl Iterator<Item = (&'ext String, &'ext Value)>) {
        let mut entries: Vec<_> = entries.collect();
        entries.sort_unstable_by_key(|(name, _)| *name);
        self.count(entries.len());
        for (name, value) in entries {
            self.text(name);
            self.value(value);
        }
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.0.update(b"n"),
            Value::Bool(value) => self.0.update(if *value { b"t" } else { b"f" }),
            Value::Number(number) => {
                self.0.update(b"d");
                self.text(&number_text(number));
            }
            Value::String(text) => {
                self.0.update(b"s");
                self.text(text);
            }
            Value::Array(values) => {
                self.0.update(b"a");
                self.count(values.len());
                for value in values {
                    self.value(value);
                }
            }
            Value::Object(fields) => {
                self.0.update(b"o");
                self.object(fields.iter());
            }
        }
    }

    fn finish(self) -> Fingerprint {
        let hash: [u8; 32] = self.0.finalize().into();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash[..16]);
        Fingerprint(bytes)
    }
}

/// Returns one text for all forms of a number: `1`, `1.0` and `1e0` are the same.
fn number_text(number: &Number) -> String {
    if number.is_i64() || number.is_u64() {
        return number.to_string();
    }
    // Without an exponent, and adding zero turns -0 into 0.
    number.as_f64().map_or_else(|| number.to_string(), |number| (number + 0.0).to_string())
}
