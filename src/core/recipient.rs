//! The states of recipients, and how many recipients are in each.

use serde::Deserialize;
use serde::ser::{Serialize, SerializeMap as _, Serializer};

words! {
    /// The state of a recipient, or of a single send.
    #[derive(utoipa::ToSchema)]
    #[schema(rename_all = "snake_case")]
    RecipientState {
        /// Nothing was sent yet, or the attempt is proved to have sent nothing.
        Pending = 0, "pending";
        /// The intent is on disk; the outcome is not known yet.
        Sending = 1, "sending";
        /// The service accepted it.
        Sent = 2, "sent";
        /// The service refused it.
        Rejected = 3, "rejected";
        /// It may have been delivered.
        InDoubt = 4, "in_doubt";
        /// The message function or `exclude` left it out.
        Skipped = 5, "skipped";
        /// The broadcast was cancelled before its turn.
        Cancelled = 6, "cancelled";
    }
}

/// The number of recipients in each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub struct RecipientCounts {
    /// Nothing was sent yet.
    pub pending: u64,
    /// In flight.
    pub sending: u64,
    /// The service accepted it.
    pub sent: u64,
    /// The service refused it.
    pub rejected: u64,
    /// It may have been delivered.
    pub in_doubt: u64,
    /// Left out by the message function or `exclude`.
    pub skipped: u64,
    /// Cancelled before its turn.
    pub cancelled: u64,
}

impl RecipientCounts {
    /// All recipients of the plan, including skipped ones.
    pub const fn total(&self) -> u64 {
        self.pending
            + self.sending
            + self.sent
            + self.rejected
            + self.in_doubt
            + self.skipped
            + self.cancelled
    }

    /// The number of recipients in `state`.
    pub const fn of(&self, state: RecipientState) -> u64 {
        match state {
            RecipientState::Pending => self.pending,
            RecipientState::Sending => self.sending,
            RecipientState::Sent => self.sent,
            RecipientState::Rejected => self.rejected,
            RecipientState::InDoubt => self.in_doubt,
            RecipientState::Skipped => self.skipped,
            RecipientState::Cancelled => self.cancelled,
        }
    }
}

impl Serialize for RecipientCounts {
    /// Writes the total and the number of recipients in each state.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(RecipientState::ALL.len() + 1))?;
        map.serialize_entry("total", &self.total())?;
        for state in RecipientState::ALL {
            map.serialize_entry(state.name(), &self.of(state))?;
        }
        map.end()
    }
}
