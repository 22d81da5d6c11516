//! Settles the app's messages in doubt by the service's own records.

use serde_json::{Map, Value};

use crate::core::{FailureKind, RequestFailure};
use crate::ledger::{BroadcastId, VerifiedCounts};
use crate::message::Message;
use crate::reconcile::{
    self, Ask, MARK_BYTES, MARK_FIELD, Outlook, ReconcileTarget, Verification, mark_nonce,
};

use super::Delivery;
use super::lazy_ledger::OpenLedger;
use super::record::unrecorded;

impl Delivery {
    /// Matches the messages in doubt with the service's records, and settles those about which the records
    /// prove something. A dry run has none.
    ///
    /// # Errors
    ///
    /// A failure of the ledger. A history file that cannot be read is logged, and is not an error.
    pub async fn reconcile(&self, ask: Ask) -> Result<Outlook, RequestFailure> {
        if self.transport.is_some() {
            return Ok(Outlook::default());
        }
        let Some((open, app)) = self.entry().await? else { return Ok(Outlook::default()) };
        let target =
            ReconcileTarget { ledger: &open.ledger, app, instance: &open.instance, client: &self.client };
        let settled = self.reconciler.pass(target, ask).await;
        settled.map_err(|reconcile::ReconcileError::Ledger(error)| unrecorded(&error))
    }

    /// Makes the recipients of a broadcast pending that the service did not accept, by its history; returns how many.
    ///
    /// # Errors
    ///
    /// A failure of the ledger.
    pub async fn settle_absent(&self, id: BroadcastId) -> Result<u64, RequestFailure> {
        let Some((open, app)) = self.entry().await? else { return Ok(0) };
        let target =
            ReconcileTarget { ledger: &open.ledger, app, instance: &open.instance, client: &self.client };
        let settled = self.reconciler.settle_absent(target, id).await;
        settled.map_err(|reconcile::ReconcileError::Ledger(error)| unrecorded(&error))
    }

    /// Verifies the sent messages of a finished broadcast by the service's records. [`Delivery::store_verification`] keeps
    /// the result.
    ///
    /// # Errors
    ///
    /// A failure of the ledger.
    pub async fn verify(&self, id: BroadcastId, ask: Ask) -> Result<Verification, RequestFailure> {
        let Some((open, app)) = self.entry().await? else { return Ok(Verification::default()) };
        let target =
            ReconcileTarget { ledger: &open.ledger, app, instance: &open.instance, client: &self.client };
        let verified = self.reconciler.verify(target, id, ask).await;
        verified.map_err(|reconcile::ReconcileError::Ledger(error)| unrecorded(&error))
    }

    /// Adds a verification to the report of its broadcast.
    ///
    /// # Errors
    ///
    /// A failure of the ledger.
    pub async fn store_verification(
        &self,
        id: BroadcastId,
        verification: &Verification,
    ) -> Result<(), RequestFailure> {
        let Some((open, _)) = self.entry().await? else { return Ok(()) };
        // Numbers and texts can always be written.
        let json = serde_json::to_string(verification).unwrap_or_default();
        let &Verification { verified, missing, unknown, .. } = verification;
        let counts = VerifiedCounts { verified, missing, unknown };
        let stored = open.ledger.store_verification(id, &json, counts).await;
        stored.map_err(|error| unrecorded(&error))
    }

    /// Why the zone of the service's history files is a guess; None if it is known.
    pub fn history_zone_doubt(&self) -> Option<String> {
        self.reconciler.zone_doubt()
    }

    /// Whether broadcasts are verified after they have finished.
    pub const fn verifies(&self) -> bool {
        self.verifies
    }

    /// Returns the start of the marks of a new broadcast; None if messages get no marks.
    pub fn new_mark(&self, name: &str, run: &str) -> Option<String> {
        self.marks.then(|| mark_nonce(self.key(), name, run, self.clock.unix_time()))
    }

    /// Returns a single message with a mark of its own; None if messages get no marks. All tries of the message have the
    /// same mark, because it is tried again only if nothing was sent.
    pub(super) fn mark_single(
        &self,
        open: &OpenLedger,
        message: &Message,
    ) -> Result<Option<Message>, RequestFailure> {
        if !self.marks || message.edits().is_some() || message.scope().is_some() {
            return Ok(None);
        }
        let number = self.marked.get();
        self.marked.set(number + 1);
        let (process, now) = (open.instance.id(), self.clock.unix_time());
        let mark = mark_nonce(self.key(), "", &format!("single message {number} of {process}"), now);
        let marked = marked(message, mark);
        marked.map(Some).map_err(|why| RequestFailure::new(FailureKind::Invalid, why))
    }
}

/// Returns the JSON of a message with a mark of the greatest length. The limits are checked with it.
///
/// # Errors
///
/// The message has a field in the mark's place.
pub fn with_longest_mark(message: &Value) -> Result<Value, String> {
    let mut message = message.clone();
    let Some(fields) = message.as_object_mut() else { return Ok(message) };
    let ext = fields.entry("ext").or_insert_with(|| Value::Object(Map::new()));
    if let Some(ext) = ext.as_object_mut()
        && ext.insert(MARK_FIELD.to_owned(), "x".repeat(MARK_BYTES).into()).is_some()
    {
        return Err(format!(
            "`ext.{MARK_FIELD}` is the place of the mark that `[app] mark = true` adds; give the field another name, or set `mark = false`"
        ));
    }
    Ok(message)
}

/// Returns the message with its mark.
///
/// # Errors
///
/// The message cannot be written as JSON.
pub(super) fn marked(message: &Message, mark: String) -> Result<Message, String> {
    message.with_ext(MARK_FIELD, mark.into()).map_err(|error| error.to_string())
}
