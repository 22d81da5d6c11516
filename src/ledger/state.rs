//! States, and the small integers that the ledger stores for them.

use serde::{Deserialize, Serialize};

/// Defines an enum whose variants have a name and are stored as small integers.
macro_rules! stored {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $number:literal, $word:literal;)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$doc])* $variant = $number,)+ }

        impl $name {
            /// All variants, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The variant's name, as it appears in every output.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// Returns the variant with this name.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.name() == name)
            }

            /// The number that the ledger stores for the variant.
            pub(super) const fn number(self) -> i64 {
                self as i64
            }

            pub(super) fn from_number(number: i64) -> Result<Self, String> {
                Self::ALL
                    .iter()
                    .copied()
                    .find(|one| one.number() == number)
                    .ok_or_else(|| format!(concat!(stringify!($name), " {}"), number))
            }
        }
    };
}

stored! {
    /// The state of a recipient, or of a single send.
    DeliveryState {
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

stored! {
    BroadcastStage {
        /// The plan is not fixed yet; nothing was sent.
        Building = 0, "building";
        /// The plan is fixed, and some recipients are not settled.
        Ready = 1, "ready";
        /// No recipient is pending or in flight.
        Finished = 2, "finished";
        /// As finished, after a cancel.
        Cancelled = 3, "cancelled";
    }
}

stored! {
    /// The latest command for a broadcast; its driver polls it.
    BroadcastCommand {
        /// The broadcast may be sent.
        Run = 0, "run";
        /// The broadcast waits until it is resumed.
        Pause = 1, "pause";
        /// Pending recipients are to be cancelled.
        Cancel = 2, "cancel";
    }
}

stored! {
    JobState {
        /// It was claimed and has not ended.
        Running = 0, "running";
        /// It ended without an error.
        Done = 1, "done";
        /// It ended with an error.
        Failed = 2, "failed";
        /// Its process died before it ended.
        Interrupted = 3, "interrupted";
        /// It did not run, on purpose: its scheduled time was missed, or another run was active.
        Skipped = 4, "skipped";
        /// It is claimed and waits for its turn.
        Waiting = 5, "waiting";
        /// It was cancelled by a command.
        Cancelled = 6, "cancelled";
    }
}

stored! {
    JobCommand {
        /// Run the job now, regardless of its schedule.
        Run = 0, "run";
        /// Cancel the active run.
        Cancel = 1, "cancel";
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
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

    pub const fn of(&self, state: DeliveryState) -> u64 {
        match state {
            DeliveryState::Pending => self.pending,
            DeliveryState::Sending => self.sending,
            DeliveryState::Sent => self.sent,
            DeliveryState::Rejected => self.rejected,
            DeliveryState::InDoubt => self.in_doubt,
            DeliveryState::Skipped => self.skipped,
            DeliveryState::Cancelled => self.cancelled,
        }
    }
}
