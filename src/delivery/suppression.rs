//! Single messages to recipients on the suppression list.

use crate::core::{RequestFailure, SuppressedKind};
use crate::message::Message;

use super::Delivery;
use super::record::{SendRecord, unrecorded};

impl Delivery {
    /// Refuses a message if one of its recipients is on the suppression list now.
    ///
    /// # Errors
    ///
    /// [`FailureKind::Denied`](crate::core::FailureKind::Denied), which names these recipients.
    pub(super) async fn refuse_suppressed(
        &self,
        message: &Message,
        record: &SendRecord<'_>,
    ) -> Result<(), RequestFailure> {
        let (Some((open, app)), Some(kind)) = (record.ledger(), SuppressedKind::of(message.call())) else {
            return Ok(());
        };
        let mut listed =
            open.ledger.suppressed(app, kind, message.to()).await.map_err(|error| unrecorded(&error))?;
        if !message.users().is_empty() {
            let users = open.ledger.suppressed(app, SuppressedKind::User, message.users()).await;
            listed.extend(users.map_err(|error| unrecorded(&error))?);
        }
        if listed.is_empty() {
            return Ok(());
        }
        let listed: Vec<String> =
            listed.iter().map(|one| one.why(&format!("{} {} is ", one.kind, one.id))).collect();
        Err(RequestFailure::denied(format!(
            "{}; nothing was sent. To take an entry off the list: mooncast suppress remove ID. To send anyway: the option `override = true` and the permission `[permissions] override_suppression = true`",
            listed.join("; ")
        )))
    }
}
