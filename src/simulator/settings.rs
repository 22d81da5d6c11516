//! What the simulated app is and what it is allowed.

use std::time::Duration;

use secrecy::SecretString;

use super::{FaultPlan, Latency, RateCounting, RecordMode};

/// Everything that makes one simulator differ from another.
#[derive(Debug, Clone)]
pub struct SimulatorSettings {
    /// The organisation's name.
    pub org: String,
    /// The app's name.
    pub app: String,
    /// What every path stands behind, without a slash at the end: `/{org}/{app}`.
    pub prefix: String,
    /// The client id for which `/token` gives tokens.
    pub client_id: String,
    /// The secret that belongs to it.
    pub client_secret: SecretString,
    /// A token that is good for ever, beside those that `/token` gives.
    pub fixed_token: Option<SecretString>,
    /// How long a token lives when the request names no `ttl`. Default 60 days.
    pub token_ttl: Duration,
    /// How many groups the app has. Their ids count up from 184524748161025.
    pub groups: u64,
    /// How many members each group has, its owner and its admin included; at least one. They are `user1`, `user2`…
    pub members: u64,
    /// What the app is allowed.
    pub limits: SimulatorLimits,
    /// How long the way there and back takes.
    pub latency: Latency,
    /// When the service fails, and how.
    pub faults: FaultPlan,
    /// What random choices start from: the same seed and the same requests give the same answers.
    pub seed: u64,
    /// How much of each message is remembered.
    pub keep: RecordMode,
}

impl SimulatorSettings {
    /// An app with the contract's limits, 100 groups of 10, no latency and no faults.
    #[must_use]
    pub fn new(org: &str, app: &str) -> Self {
        Self {
            org: org.to_owned(),
            app: app.to_owned(),
            prefix: format!("/{org}/{app}"),
            client_id: "simulator-client".to_owned(),
            client_secret: SecretString::from("simulator-secret"),
            fixed_token: None,
            token_ttl: Duration::from_hours(60 * 24),
            groups: 100,
            members: 10,
            limits: SimulatorLimits::default(),
            latency: Latency::default(),
            faults: FaultPlan::default(),
            seed: 0,
            keep: RecordMode::default(),
        }
    }
}

impl Default for SimulatorSettings {
    fn default() -> Self {
        Self::new("simulator", "demo")
    }
}

/// The limits in force. A rate of `None` is lifted.
#[derive(Debug, Clone, PartialEq)]
pub struct SimulatorLimits {
    /// Group calls a second and group messages a second, each counted for itself. Default 20 (vendor's page).
    pub group_per_second: Option<u32>,
    /// Targeted calls (or users) a second. Default 100 (vendor's page).
    pub targeted_per_second: Option<u32>,
    /// Whether a targeted call counts as one or as its users. Default one.
    pub targeted_by: TargetedBy,
    /// Uploads a second. Default 100.
    pub upload_per_second: Option<u32>,
    /// Calls a second to each of the lists, the downloads and the recalls. Default 100.
    pub read_per_second: Option<u32>,
    /// How the rates are counted. Default the sliding second.
    pub count: RateCounting,
    /// Refuse a call whose messages do not all fit. By default a call passes while anything is left, which is the
    /// vendor's example: of calls of 3 messages 7 pass in a second, 21 messages, and the 8th fails.
    pub whole_calls: bool,
    /// Bytes of `body` and `ext` together, as compact JSON. Default 5120 (vendor's page: 5 KB).
    pub message_bytes: usize,
    /// Bytes of one uploaded file. Default 10 MB (10,485,760).
    pub upload_bytes: usize,
    /// How long an uploaded file can be fetched. Default 7 days.
    pub file_life: Duration,
    /// Entries on one page of a list, whatever the caller asks for. Default 1000; older pages of the vendor: 100.
    pub page: usize,
    /// How long after its sending a message can be recalled without force. Default 2 minutes.
    pub recall_window: Duration,
}

impl Default for SimulatorLimits {
    fn default() -> Self {
        Self {
            group_per_second: Some(20),
            targeted_per_second: Some(100),
            targeted_by: TargetedBy::Call,
            upload_per_second: Some(100),
            read_per_second: Some(100),
            count: RateCounting::default(),
            whole_calls: false,
            message_bytes: 5120,
            upload_bytes: 10 * 1024 * 1024,
            file_life: Duration::from_hours(7 * 24),
            page: 1000,
            recall_window: Duration::from_mins(2),
        }
    }
}

impl SimulatorLimits {
    /// The default limits with every rate lifted.
    #[must_use]
    pub fn lifted() -> Self {
        Self {
            group_per_second: None,
            targeted_per_second: None,
            upload_per_second: None,
            read_per_second: None,
            ..Self::default()
        }
    }
}

/// What a targeted call counts against its rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum TargetedBy {
    /// One, however many users it names.
    #[default]
    Call,
    /// One for each user it names.
    User,
}
