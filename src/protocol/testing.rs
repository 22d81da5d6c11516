//! The requests of a test to the host that runs it.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{HookRequest, capped};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TestStep {
    /// Declare a test. Answered by nothing.
    Declare {
        /// The test's name, unique in its file.
        name: String,
        /// The place of the declaration: `scripts/tests/hello.lua:3`.
        place: String,
    },
    /// Run a script as `mooncast run` does. Answered by the run's result.
    Run {
        /// The script's path, relative to the project.
        script: String,
        /// Its arguments.
        #[serde(deserialize_with = "capped::list::<_, _, 10_000>")]
        args: Vec<String>,
    },
    /// Load a script as the daemon does. Answered by the names of the jobs that it declares.
    Load(String),
    /// Run a job of a loaded script now. Answered by the run's result.
    Trigger(String),
    /// Run a hook of a loaded script with a request. Answered by the run's result.
    Post {
        /// The hook.
        job: String,
        request: HookRequest,
    },
    /// Run the jobs of loaded scripts that take an event of the chat service. Answered by a list of their runs.
    Callback(Box<TestEvent>),
    /// Move the clock forward, and run the jobs of loaded scripts that become due. Answered by a list of the jobs'
    /// runs.
    Advance {
        /// The duration in milliseconds.
        ms: u64,
    },
    /// Set the wall clock. Answered by nothing.
    Clock {
        /// Seconds since 1970 as text, or a date and time in text form.
        time: String,
    },
    /// Plan faults of the service. They add to the earlier ones. Answered by nothing.
    Fault(String),
    /// Read the messages of a group as the service received them; None for all groups, by group.
    Sent(Option<String>),
    /// Count the messages of a group; None for all groups together.
    Count(Option<String>),
    /// Set the response to requests to an address of another service. Answered by nothing.
    Reply {
        /// The address: the full one, or its beginning followed by `*`.
        url: String,
        status: u16,
        body: String,
    },
    /// Read the requests to other services. Answered by a list.
    Requests,
}

/// An event of the chat service. What a test leaves out, the host fills in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestEvent {
    pub event: String,
    /// The id of the callback.
    pub id: Option<String>,
    /// The name of the app; None for the default app.
    pub app: Option<String>,
    pub group: String,
    #[serde(deserialize_with = "capped::list::<_, _, 1000>")]
    pub users: Vec<String>,
    pub message_id: Option<String>,
    /// The message's body with its `type`, as JSON.
    pub body: Option<Bytes>,
    /// As JSON.
    pub ext: Option<Bytes>,
}

impl TestStep {
    /// Whether the answer may have to wait for a time of the clock.
    pub const fn takes_time(&self) -> bool {
        matches!(
            self,
            Self::Run { .. }
                | Self::Load(_)
                | Self::Trigger(_)
                | Self::Post { .. }
                | Self::Callback(_)
                | Self::Advance { .. }
        )
    }

    /// Whether a top level that only declares may take this step.
    pub const fn only_looks(&self) -> bool {
        matches!(self, Self::Declare { .. })
    }
}
