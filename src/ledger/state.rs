//! The small integers that the ledger stores for states.

use sqlx::error::BoxDynError;
use sqlx::{Database, Decode, Type};

use super::sql::SqlValue;
use crate::core::{
    BroadcastCommand, BroadcastStage, HistoryResult, HistoryZone, JobCommand, JobState, RecipientState,
};

macro_rules! stored {
    ($($name:ident),+) => { $(
        impl $name {
            /// The number that the ledger stores.
            pub(super) const fn number(self) -> i64 {
                self as i64
            }
        }

        impl<DB: Database> Type<DB> for $name
        where
            i64: Type<DB>,
        {
            fn type_info() -> DB::TypeInfo {
                <i64 as Type<DB>>::type_info()
            }

            fn compatible(info: &DB::TypeInfo) -> bool {
                <i64 as Type<DB>>::compatible(info)
            }
        }

        impl<'r, DB: Database> Decode<'r, DB> for $name
        where
            i64: Decode<'r, DB>,
        {
            fn decode(value: DB::ValueRef<'r>) -> Result<Self, BoxDynError> {
                let number = <i64 as Decode<DB>>::decode(value)?;
                let found = Self::ALL.into_iter().find(|one| one.number() == number);
                found.ok_or_else(|| format!(concat!(stringify!($name), " {}"), number).into())
            }
        }

        impl From<$name> for SqlValue {
            fn from(state: $name) -> Self {
                state.number().into()
            }
        }
    )+ };
}

stored!(BroadcastCommand, BroadcastStage, HistoryResult, HistoryZone, JobCommand, JobState, RecipientState);

/// The numbers of recipients and single sends in SQL texts.
pub(super) mod recipient {
    use super::RecipientState;

    pub(in crate::ledger) const PENDING: i64 = RecipientState::Pending.number();
    pub(in crate::ledger) const SENDING: i64 = RecipientState::Sending.number();
    pub(in crate::ledger) const SENT: i64 = RecipientState::Sent.number();
    pub(in crate::ledger) const REJECTED: i64 = RecipientState::Rejected.number();
    pub(in crate::ledger) const IN_DOUBT: i64 = RecipientState::InDoubt.number();
    pub(in crate::ledger) const SKIPPED: i64 = RecipientState::Skipped.number();
    pub(in crate::ledger) const CANCELLED: i64 = RecipientState::Cancelled.number();
}

/// The numbers of broadcasts' stages.
pub(super) mod stage {
    use super::BroadcastStage;

    pub(in crate::ledger) const BUILDING: i64 = BroadcastStage::Building.number();
    pub(in crate::ledger) const READY: i64 = BroadcastStage::Ready.number();
    pub(in crate::ledger) const FINISHED: i64 = BroadcastStage::Finished.number();
    pub(in crate::ledger) const CANCELLED: i64 = BroadcastStage::Cancelled.number();
}

/// The numbers of broadcasts' commands.
pub(super) mod command {
    use super::BroadcastCommand;

    pub(in crate::ledger) const RUN: i64 = BroadcastCommand::Run.number();
    pub(in crate::ledger) const PAUSE: i64 = BroadcastCommand::Pause.number();
    pub(in crate::ledger) const CANCEL: i64 = BroadcastCommand::Cancel.number();
}

/// The numbers of job runs.
pub(super) mod run {
    use super::JobState;

    pub(in crate::ledger) const RUNNING: i64 = JobState::Running.number();
    pub(in crate::ledger) const INTERRUPTED: i64 = JobState::Interrupted.number();
    pub(in crate::ledger) const WAITING: i64 = JobState::Waiting.number();
    pub(in crate::ledger) const DONE: i64 = JobState::Done.number();
    pub(in crate::ledger) const ALREADY_SENT: i64 = JobState::AlreadySent.number();
    pub(in crate::ledger) const FAILED: i64 = JobState::Failed.number();
    pub(in crate::ledger) const UNDELIVERED: i64 = JobState::Undelivered.number();
}

/// The number of the command that runs a job.
pub(super) const RUN_JOB: i64 = JobCommand::Run.number();
