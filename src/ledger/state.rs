//! The small integers that the ledger stores for states.

use crate::core::{BroadcastCommand, BroadcastStage, DeliveryState, JobCommand, JobState};

macro_rules! stored {
    ($($name:ident),+) => { $(
        impl $name {
            /// The number that the ledger stores.
            pub(super) const fn number(self) -> i64 {
                self as i64
            }

            pub(super) fn from_number(number: i64) -> Result<Self, String> {
                Self::ALL
                    .into_iter()
                    .find(|one| one.number() == number)
                    .ok_or_else(|| format!(concat!(stringify!($name), " {}"), number))
            }
        }
    )+ };
}

stored!(BroadcastCommand, BroadcastStage, DeliveryState, JobCommand, JobState);
