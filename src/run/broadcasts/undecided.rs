//! Finds the changed inputs of a broadcast that no operator has decided about, before it is resumed.

use crate::ledger::{Broadcast, BroadcastChanges, InputKind, OperatorDecision, PlanInput};

use super::inputs::words;
use super::project::ProjectInputs;

/// Returns which inputs of an unfinished broadcast changed since its plan, in words. Empty if none did, or if an operator
/// decided to continue. `project` has the inputs of its script now; None if they cannot be read.
pub async fn undecided_changes(broadcast: &Broadcast, project: Option<&ProjectInputs>) -> Vec<String> {
    let spec = &broadcast.spec;
    let is_held = broadcast.is_held_for_changes();
    // An edit's plan is made of the messages that it edits, which no file of the project changes.
    let is_decided = spec.decision == Some(OperatorDecision::Continue) && !is_held;
    if broadcast.plan.is_none() || spec.inputs.is_empty() || spec.corrects.is_some() || is_decided {
        return Vec::new();
    }
    // Code that was typed has no file.
    let is_typed = spec.script.as_ref().is_none_or(|script| TYPED.contains(&script.path.as_str()));
    let compared: Vec<PlanInput> =
        spec.inputs.iter().filter(|input| is_compared(input.kind, is_typed)).cloned().collect();
    let changed = match project {
        Some(project) => project.changed(&compared).await,
        None => compared.iter().filter(|input| input.kind == InputKind::Script).cloned().collect(),
    };
    let mut changed: Vec<String> = changed.iter().map(words).collect();
    if is_held {
        // What only the script shows, such as a list of recipients, counts as it was when the broadcast was held.
        let known: Vec<String> = compared.iter().map(words).collect();
        let BroadcastChanges { inputs, .. } = spec.changes.clone().unwrap_or_default();
        if inputs.is_empty() {
            changed.extend(broadcast.command_note.clone());
        }
        changed.extend(inputs.into_iter().filter(|input| !known.contains(input)));
    }
    changed
}

/// The names of scripts that are typed, or read from standard input.
const TYPED: &[&str] = &["eval", "repl", "stdin"];

/// Whether an input can be compared without running the script.
const fn is_compared(kind: InputKind, is_typed: bool) -> bool {
    match kind {
        InputKind::Script => !is_typed,
        InputKind::Module | InputKind::File | InputKind::Audience => true,
        InputKind::Arguments | InputKind::Fields | InputKind::Recipients => false,
    }
}
