//! States, and the small integers that they are stored as.

use serde::{Deserialize, Serialize};

/// Makes an enum whose variants are stored as small integers and have a name.
macro_rules! stored {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $number:literal, $word:literal;)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$doc])* $variant = $number,)+ }

        impl $name {
            /// All of them, by number.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The word for it, in every output.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// What [`Self::name`] calls so.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.name() == name)
            }

            /// The number that stands for it in the ledger.
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
        /// Nothing was sent yet, or what was tried proved not to be sent.
        Pending = 0, "pending";
        /// The intent is on disk; the outcome is not known yet.
        Sending = 1, "sending";
        /// The service has it.
        Sent = 2, "sent";
        /// The service refused it.
        Rejected = 3, "rejected";
        /// It may have been delivered.
        InDoubt = 4, "in_doubt";
        /// Left out by the message function or by `exclude`.
        Skipped = 5, "skipped";
        /// The broadcast was cancelled before its turn.
        Cancelled = 6, "cancelled";
    }
}

stored! {
    /// How far a broadcast is.
    BroadcastStage {
        /// The plan is not fixed yet; nothing was sent.
        Building = 0, "building";
        /// The plan is fixed, and not all of it is settled.
        Ready = 1, "ready";
        /// Nothing is pending or in flight.
        Finished = 2, "finished";
        /// As finished, after a cancel.
        Cancelled = 3, "cancelled";
    }
}

stored! {
    /// What somebody wants of a broadcast; its driver looks now and then.
    BroadcastCommand {
        /// It may be sent.
        Run = 0, "run";
        /// It waits until somebody says resume.
        Pause = 1, "pause";
        /// What is pending shall be cancelled.
        Cancel = 2, "cancel";
    }
}

stored! {
    /// How a job run stands.
    JobState {
        /// Claimed and not finished.
        Running = 0, "running";
        /// It ended well.
        Done = 1, "done";
        /// It ended with an error.
        Failed = 2, "failed";
        /// Its process died half-way.
        Interrupted = 3, "interrupted";
        /// Not run on purpose: missed, or another run was going on.
        Skipped = 4, "skipped";
        /// Claimed, and waiting for its turn.
        Waiting = 5, "waiting";
        /// Somebody wanted its end.
        Cancelled = 6, "cancelled";
    }
}

stored! {
    /// What somebody wants of a job.
    JobCommand {
        /// A run now, whatever its schedule says.
        Run = 0, "run";
        /// The end of the run that goes on.
        Cancel = 1, "cancel";
    }
}

/// How many recipients are in each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RecipientCounts {
    /// Nothing was sent yet.
    pub pending: u64,
    /// In flight.
    pub sending: u64,
    /// The service has it.
    pub sent: u64,
    /// The service refused it.
    pub rejected: u64,
    /// It may have been delivered.
    pub in_doubt: u64,
    /// Left out.
    pub skipped: u64,
    /// Cancelled before its turn.
    pub cancelled: u64,
}

impl RecipientCounts {
    /// All recipients of the plan, those left out included.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.pending
            + self.sending
            + self.sent
            + self.rejected
            + self.in_doubt
            + self.skipped
            + self.cancelled
    }

    /// How many are in `state`.
    #[must_use]
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
