//! The commands of operators.

words! {
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

words! {
    /// A command for a job.
    JobCommand {
        /// Run the job now, regardless of its schedule.
        Run = 0, "run";
        /// Cancel the active run.
        Cancel = 1, "cancel";
    }
}
