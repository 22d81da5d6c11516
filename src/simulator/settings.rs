//! The simulated app and its limits.

use std::time::Duration;

use secrecy::SecretString;

use super::{AgoraApp, CallbackSettings, FaultPlan, HistorySettings, Latency, RateCounting, RecordMode};

#[derive(Debug, Clone)]
pub struct SimulatorSettings {
    /// The organisation's name.
    pub org: String,
    pub app: String,
    /// The prefix of every path, without a slash at the end: `/{org}/{app}`.
    pub prefix: String,
    /// The client id that `/token` accepts.
    pub client_id: String,
    pub client_secret: SecretString,
    /// The Agora app that `/token` and every other call accept tokens of, beside the client. Its prefix
    /// `/app-id/{app_id}` stands for `prefix`.
    pub agora: Option<AgoraApp>,
    /// A token that never expires, beside those that `/token` returns.
    pub fixed_token: Option<SecretString>,
    /// The lifetime of a token if the request has no `ttl`. Default 60 days.
    pub token_ttl: Duration,
    /// How many groups the app has. Their ids count up from 184524748161025.
    pub groups: u64,
    /// How many members each group has, including its owner and its admin; at least one. They are `user1`, `user2`…
    pub members: u64,
    pub limits: SimulatorLimits,
    /// The network latency.
    pub latency: Latency,
    /// When the service fails, and how.
    pub faults: FaultPlan,
    /// The seed of random choices. The same seed and the same requests give the same answers.
    pub seed: u64,
    /// How much of each message is stored.
    pub keep: RecordMode,
    /// The most messages that are stored; the oldest is dropped first. Default 1,000,000, which takes about half a
    /// gigabyte if they are short texts.
    pub stored_messages: usize,
    /// When history files are there, and in which zone their hours are.
    pub history: HistorySettings,
    /// Where callbacks are posted. `None` posts none.
    pub callback: Option<CallbackSettings>,
    /// Whether to refuse what the vendor's page on group messages does not allow. Default false: the simulator takes what
    /// the service takes from other clients.
    pub strict: bool,
    /// Whether the app may recall messages. Default true; the vendor has to switch it on.
    pub recall_open: bool,
    /// Whether the app may edit messages. Default true; the vendor has to switch it on.
    pub rewrite_open: bool,
}

impl SimulatorSettings {
    /// Returns an app with the contract's limits, 100 groups of 10 members, no latency and no faults.
    pub fn new(org: &str, app: &str) -> Self {
        Self {
            org: org.to_owned(),
            app: app.to_owned(),
            prefix: format!("/{org}/{app}"),
            client_id: "simulator-client".to_owned(),
            client_secret: SecretString::from("simulator-secret"),
            agora: None,
            fixed_token: None,
            token_ttl: Duration::from_hours(60 * 24),
            groups: 100,
            members: 10,
            limits: SimulatorLimits::default(),
            latency: Latency::default(),
            faults: FaultPlan::default(),
            seed: 0,
            keep: RecordMode::default(),
            stored_messages: 1_000_000,
            history: HistorySettings::default(),
            callback: None,
            strict: false,
            recall_open: true,
            rewrite_open: true,
        }
    }
}

impl SimulatorSettings {
    /// Returns what follows the app's prefix in a path. `None` if the path is none of the app.
    pub(super) fn behind_prefix<'a>(&self, path: &'a str) -> Option<&'a str> {
        let of_agora = || path.strip_prefix("/app-id/")?.strip_prefix(self.agora.as_ref()?.app_id.as_str());
        path.strip_prefix(&self.prefix).or_else(of_agora)
    }
}

impl Default for SimulatorSettings {
    fn default() -> Self {
        Self::new("simulator", "demo")
    }
}

/// The app's limits. A rate of `None` is unlimited.
#[derive(Debug, Clone, PartialEq)]
pub struct SimulatorLimits {
    /// Group calls per second and group messages per second, counted separately. Default 20 (vendor's page).
    pub group_per_second: Option<u32>,
    /// Targeted calls (or users) per second. Default 100 (vendor's page).
    pub targeted_per_second: Option<u32>,
    /// Whether a targeted call counts as one or as its number of users. Default one.
    pub targeted_by: TargetedBy,
    /// Uploads per second. Default 100.
    pub upload_per_second: Option<u32>,
    /// Calls per second to each of the lists, the downloads, the recalls and the old `POST /messages`. Default 100.
    pub read_per_second: Option<u32>,
    /// Edits per second. Default 100 (contract).
    pub edit_per_second: Option<u32>,
    /// Calls to users per second. Default 100 (contract).
    pub user_calls_per_second: Option<u32>,
    /// Messages to users per minute. Default 6000 (contract).
    pub user_messages_per_minute: Option<u32>,
    /// Messages to rooms per second. Default 100 (contract).
    pub room_messages_per_second: Option<u32>,
    /// Calls to rooms per second. Default unlimited.
    pub room_calls_per_second: Option<u32>,
    /// Announcements to all users a day, of which two are 30 minutes apart. Without a number neither is limited. Default 3
    /// (contract).
    pub announce_all_per_day: Option<u32>,
    /// Announcements to the users who are online a day, of which two are a minute apart. Default 50 (contract).
    pub announce_online_per_day: Option<u32>,
    /// How the simulator measures rates. Default: the sliding second.
    pub count: RateCounting,
    /// Whether to refuse a call whose messages do not all fit. By default a call passes while anything is left, as in
    /// the vendor's example: of calls with 3 messages each, 7 pass in a second (21 messages), and the 8th fails.
    pub whole_calls: bool,
    /// Bytes of `body` and `ext` together, as compact JSON. Default 5120 (vendor's page: 5 KB).
    pub message_bytes: usize,
    /// Bytes of one uploaded file. Default 10 MB (10,485,760).
    pub upload_bytes: usize,
    /// How long an uploaded file can be fetched. Default 7 days.
    pub file_life: Duration,
    /// The most entries on one page of a list. Default 1000; older pages of the vendor say 100.
    pub page: usize,
    /// How long after sending a message can be recalled without force. Default 2 minutes.
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
            edit_per_second: Some(100),
            user_calls_per_second: Some(100),
            user_messages_per_minute: Some(6000),
            room_messages_per_second: Some(100),
            room_calls_per_second: None,
            announce_all_per_day: Some(3),
            announce_online_per_day: Some(50),
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
    /// Returns the default limits without any rate.
    pub fn lifted() -> Self {
        Self {
            group_per_second: None,
            targeted_per_second: None,
            upload_per_second: None,
            read_per_second: None,
            edit_per_second: None,
            user_calls_per_second: None,
            user_messages_per_minute: None,
            room_messages_per_second: None,
            room_calls_per_second: None,
            announce_all_per_day: None,
            announce_online_per_day: None,
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
