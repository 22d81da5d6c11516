//! The states of job runs, and how the events that start runs are stored.

/// The beginning of the stored head of an event of the chat service. The group follows. The head of a hook's request
/// begins otherwise.
pub const EVENT_HEAD: &str = "event ";

words! {
    /// The state of a job run.
    #[derive(utoipa::ToSchema)]
    #[schema(rename_all = "snake_case")]
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
        /// It ended without an error and sent nothing, because its messages had been sent before.
        AlreadySent = 7, "already_sent";
        /// It ended without an error, and not everything that it sent was delivered: messages were rejected, given up or
        /// are in doubt, or an audience had no recipients.
        Undelivered = 8, "undelivered";
    }
}
