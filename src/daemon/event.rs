//! What happens in a daemon that people may want to be told of.

use crate::delivery::Report;

/// Something that people may want to be told of.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A run of a job ended with an error.
    RunFailed {
        /// The job.
        job: String,
        /// Which run: its instant.
        run: String,
        /// What happened.
        why: String,
    },
    /// A run was killed half-way and is not entered again.
    RunInterrupted {
        /// The job.
        job: String,
        /// Which run: its instant.
        run: String,
        /// Why it is not entered again.
        why: String,
    },
    /// A run ended, and some of the single messages that it sent are not delivered.
    RunUndelivered {
        /// The job.
        job: String,
        /// Which run: its instant.
        run: String,
        /// Groups that do not have their message.
        groups: u64,
    },
    /// A broadcast ended, and some of its recipients do not have the message.
    BroadcastUndelivered {
        /// What it came to.
        report: Report,
    },
    /// A broadcast paused by itself, or could not be driven.
    BroadcastHalted {
        /// Its name.
        name: String,
        /// Which run of that name.
        run: String,
        /// Why.
        why: String,
    },
    /// A script's file is not in force as it is now.
    ScriptStale {
        /// The script.
        script: String,
        /// What is wrong with it: file, line, reason.
        error: String,
    },
}
