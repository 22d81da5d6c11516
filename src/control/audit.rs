//! What the audit keeps of values that may have personal data: their hashes.

use serde_json::{Value, json};

use super::SuppressionRequest;
use crate::core::{Act, Actor, SuppressedKind, sha256_hex};

/// The maximum number of ids in an entry.
const IDS: usize = 100;

/// Returns the details of an act with arguments of a script: their number and a hash.
pub fn arguments_as_details(args: &[String]) -> Value {
    json!({ "args": args.len(), "args_sha256": sha256_hex(json!(args).to_string()) })
}

/// Returns the act of an actor who adds to the suppression list.
pub fn addition_act(actor: &Actor, request: &SuppressionRequest<'_>) -> Act {
    let ids: Vec<&str> = request.ids.iter().map(|(id, _)| id.as_str()).collect();
    let expires = request.expires.map(|length| length.as_secs());
    let more = json!({ "reason": request.reason, "expires_in_s": expires });
    suppression_act(actor, "suppression.add", request.app, request.kind, &ids, more)
}

/// Returns the act of an actor who removes from the suppression list of an app.
pub fn removal_act(actor: &Actor, app: &str, kind: SuppressedKind, ids: &[String]) -> Act {
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    suppression_act(actor, "suppression.remove", app, kind, &ids, json!({}))
}

/// Names the first ids, and has a hash of all, in their order, one a line.
fn suppression_act(
    actor: &Actor,
    verb: &str,
    app: &str,
    kind: SuppressedKind,
    ids: &[&str],
    mut details: Value,
) -> Act {
    let object = match ids {
        [one] => format!("{kind} {one}"),
        many => format!("{} {kind}s", many.len()),
    };
    details["app"] = app.into();
    details["ids"] = ids.iter().take(IDS).copied().collect();
    details["ids_sha256"] = sha256_hex(ids.join("\n")).into();
    actor.act(verb, object).with(details)
}
