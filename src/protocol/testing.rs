//! What a test asks of the host that runs it.

use serde::{Deserialize, Serialize};

use super::{HookRequest, capped};

/// A step of a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TestStep {
    /// Declare a test. Answered by nothing.
    Declare {
        /// Unique in its file.
        name: String,
        /// Where it is declared: `scripts/tests/hello.lua:3`.
        place: String,
    },
    /// Run a script as `mooncast run` does. Answered by what came of it.
    Run {
        /// The script, relative to the project.
        script: String,
        /// Its arguments.
        #[serde(deserialize_with = "capped::list::<_, _, 10_000>")]
        args: Vec<String>,
    },
    /// Load a script as the daemon does. Answered by the names of the jobs that it declares.
    Load(String),
    /// Run a job of a loaded script now. Answered by what came of it.
    Trigger(String),
    /// Run a hook of a loaded script with a request. Answered by what came of it.
    Post {
        /// The hook.
        job: String,
        /// What is posted.
        request: HookRequest,
    },
    /// Move the clock, and run what is due of loaded scripts meanwhile. Answered by a list of the jobs' runs.
    Advance {
        /// By so many milliseconds.
        ms: u64,
    },
    /// Set the wall clock. Answered by nothing.
    Clock {
        /// Seconds since 1970 as text, or a time as people write it.
        time: String,
    },
    /// Plan the service's faults; nothing takes back the ones before. Answered by nothing.
    Fault(String),
    /// The messages of a group as the service received them, or of all groups by group.
    Sent(Option<String>),
    /// How many messages a group got, or all of them together.
    Count(Option<String>),
    /// What requests to an address of another service are answered. Answered by nothing.
    Reply {
        /// The address: whole, or its beginning with a `*` behind it.
        url: String,
        /// The status.
        status: u16,
        /// The body.
        body: String,
    },
    /// The requests that were made of other services. Answered by a list.
    Requests,
}

impl TestStep {
    /// Whether its answer may have to wait for an instant of the clock.
    #[must_use]
    pub const fn takes_time(&self) -> bool {
        matches!(
            self,
            Self::Run { .. } | Self::Load(_) | Self::Trigger(_) | Self::Post { .. } | Self::Advance { .. }
        )
    }

    /// Whether a top level that only declares may take it.
    #[must_use]
    pub const fn only_looks(&self) -> bool {
        matches!(self, Self::Declare { .. })
    }
}
