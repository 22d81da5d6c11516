//! The output of job runs.

use std::time::Duration;

words! {
    /// The source of a line of a run's output.
    #[derive(utoipa::ToSchema)]
    #[schema(rename_all = "snake_case")]
    OutputStream {
        /// `print` and `io.write`.
        Print, "print";
        /// `log.debug`.
        LogDebug, "log_debug";
        /// `log.info`.
        LogInfo, "log_info";
        /// `log.warn`.
        LogWarn, "log_warn";
        /// `log.error`.
        LogError, "log_error";
        /// The error that ended the run, with its traceback.
        Error, "error";
        /// A sentence of the daemon, such as the beginning of another attempt.
        Host, "host";
    }
}

/// A line of a run's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputLine {
    /// Its number within the run, from 1. Lines that were left out have numbers too.
    pub number: u64,
    /// When it was written, since 1970.
    pub at: Duration,
    pub stream: OutputStream,
    /// Its text, without the newline at its end.
    pub text: String,
}
