//! The states of job runs.

words! {
    /// The state of a job run.
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
