//! The stages of broadcasts, and the status that people see.

use super::BroadcastCommand;

words! {
    /// The stage of a broadcast.
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

words! {
    /// The status of a broadcast, as every output shows it.
    #[derive(utoipa::ToSchema)]
    #[schema(rename_all = "snake_case")]
    BroadcastStatus {
        /// The plan is not fixed yet; nothing was sent.
        Building, "building";
        /// The plan is fixed, and a process sends it.
        Ready, "ready";
        /// It could be sent, but no process sends it.
        Interrupted, "interrupted";
        /// Its plan is fixed, and another person must approve it before anything is sent.
        AwaitingApproval, "awaiting_approval";
        /// It waits until it is resumed.
        Paused, "paused";
        /// Its pending recipients are being cancelled.
        Cancelling, "cancelling";
        /// No recipient is pending or in flight.
        Finished, "finished";
        /// As finished, after a cancel.
        Cancelled, "cancelled";
    }
}

impl BroadcastStage {
    /// Whether nothing is left to send.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Finished | Self::Cancelled)
    }

    /// Returns the status under the latest command, for a broadcast that a process drives.
    pub const fn status(self, command: BroadcastCommand) -> BroadcastStatus {
        match (self, command) {
            (Self::Finished, _) => BroadcastStatus::Finished,
            (Self::Cancelled, _) => BroadcastStatus::Cancelled,
            (_, BroadcastCommand::Pause) => BroadcastStatus::Paused,
            (_, BroadcastCommand::Cancel) => BroadcastStatus::Cancelling,
            (Self::Building, BroadcastCommand::Run) => BroadcastStatus::Building,
            (Self::Ready, BroadcastCommand::Run) => BroadcastStatus::Ready,
        }
    }
}
