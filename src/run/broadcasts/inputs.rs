//! The inputs of a plan: stored with it, and compared when its broadcast is reopened.

use data_encoding::HEXLOWER;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::ledger::{InputKind, PlanInput};
use crate::protocol::RequestFailure;
use crate::run::inputs;
use crate::run::services::RunServices;

use super::audience::ParsedRecipient;
use crate::core::{BroadcastSpec, sha256_hex};

/// Hashes the file of the recipients, and leaves it at its beginning.
pub(super) async fn of_file(file: std::fs::File) -> Result<(std::fs::File, String), RequestFailure> {
    inputs::of_file(file).await.map_err(|error| {
        RequestFailure::invalid("to", format!("the file of the recipients cannot be read: {error}"))
    })
}

/// Hashes recipients that are drawn one by one from a list or an iterator.
#[derive(Default)]
pub(super) struct RecipientHasher(Sha256);

impl RecipientHasher {
    pub(super) fn add(&mut self, named: &ParsedRecipient, recipient: &Value) {
        self.0.update(named.recipient_id.as_bytes());
        for user in &named.users {
            self.0.update(b"\x01");
            self.0.update(user.as_bytes());
        }
        if let Value::Object(fields) = recipient {
            let mut columns: Vec<&String> = fields.keys().collect();
            columns.sort_unstable();
            for name in columns.into_iter().filter(|name| !["group_id", "users"].contains(&name.as_str())) {
                self.0.update(b"\x02");
                self.0.update(name.as_bytes());
                self.0.update(b"\x03");
                match fields.get(name) {
                    Some(Value::String(text)) => self.0.update(text.as_bytes()),
                    Some(other) => self.0.update(other.to_string().as_bytes()),
                    None => {}
                }
            }
        }
        self.0.update(b"\n");
    }

    pub(super) fn hash(&self) -> String {
        HEXLOWER.encode(&self.0.clone().finalize())
    }
}

/// Returns all inputs of a plan, as they are stored with it.
pub(super) fn of_plan(
    services: &RunServices,
    request: &BroadcastSpec,
    audience: PlanInput,
) -> Vec<PlanInput> {
    let mut all = services.inputs.all();
    all.push(PlanInput { kind: InputKind::Fields, name: String::new(), hash: request.hash() });
    all.push(audience);
    all
}

/// Returns the inputs of a stored plan that have changed. The recipients of a list or an iterator are not compared
/// here: they must be drawn first.
pub(super) async fn changed(
    services: &RunServices,
    request: &BroadcastSpec,
    stored: &[PlanInput],
) -> Vec<PlanInput> {
    let mut changed = Vec::new();
    for input in stored {
        let now = match input.kind {
            InputKind::Script | InputKind::Arguments => services.inputs.get(input.kind, ""),
            InputKind::Module => match services.inputs.get(input.kind, &input.name) {
                Some(hash) => Some(hash),
                // The script may require the module only after it requests its broadcast.
                None => services.sources.find(&input.name).ok().map(|source| sha256_hex(&source.text)),
            },
            InputKind::File => match services.inputs.get(input.kind, &input.name) {
                Some(hash) => Some(hash),
                None if services.inputs.is_written(&input.name) => continue,
                None => services.files.read(&input.name).await.ok().map(|content| sha256_hex(&content)),
            },
            InputKind::Fields => Some(request.hash()),
            InputKind::Audience => audience(services, request).await,
            InputKind::Recipients if request.path.is_none() => continue,
            InputKind::Recipients => None,
        };
        if now.as_ref() != Some(&input.hash) {
            changed.push(input.clone());
        }
    }
    changed
}

async fn audience(services: &RunServices, request: &BroadcastSpec) -> Option<String> {
    let opened = services.files.open_upload(request.path.as_deref()?).await.ok()?;
    of_file(opened.file).await.ok().map(|(_, hash)| hash)
}

/// Describes an input for messages.
pub fn words(input: &PlanInput) -> String {
    match input.kind {
        InputKind::Script => "the script".to_owned(),
        InputKind::Module => format!("the module {}", input.name),
        InputKind::File => format!("the file {}", input.name),
        InputKind::Arguments => "the arguments".to_owned(),
        InputKind::Fields => "the fields of the broadcast".to_owned(),
        InputKind::Audience => format!("the audience {}", input.name),
        InputKind::Recipients => "the recipients".to_owned(),
    }
}
