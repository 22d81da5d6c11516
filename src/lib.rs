//! Mooncast: an embedded scripting host for group messaging.
//!
//! The modules, top to bottom. A module imports only from those below it; `tests/house.rs` checks this.
//!
//! - [`cli`]: one file per command.
//! - [`daemon`]: `serve`: the registry of scripts, the watcher, the jobs' runs.
//! - [`web`]: the listener beside it: the page, the API and the hooks.
//! - [`control`]: what operators can see and do, for the command line, the page and the API.
//! - [`lint`]: static checks of a script.
//! - [`run`]: one run of a script: starts its worker, serves its calls, checks permissions.
//! - [`delivery`]: the only path of a message: check, permit, request, outcome.
//! - [`reconcile`]: settles messages in doubt by the service's own records.
//! - [`schedule`]: when jobs run.
//! - [`quota`]: pacing; [`client`]: the REST API; [`ledger`]: the durable store, with all SQL.
//! - [`records`]: the service's own records of messages, and what they prove about sends in doubt.
//! - [`forms`]: the typed arguments of scripts.
//! - [`zones`]: time zones and times of the day in text form.
//! - [`message`]: message types and limit checks; [`config`]: the settings.
//! - [`protocol`]: the frames between host and worker; [`clock`]: the only source of time.
//! - [`core`](mod@core): the types that the modules share; [`language`]: texts in each language of the pages.
//!
//! Beside them: [`worker`], the Lua side, which runs in its own process and imports only `protocol`, `message`,
//! `input`, `zones` and `core`; and [`simulator`], the fake service, which imports only `language`.

pub(crate) mod cli;
pub(crate) mod client;
pub(crate) mod clock;
pub(crate) mod config;
pub(crate) mod control;
pub(crate) mod core;
pub(crate) mod daemon;
pub(crate) mod delivery;
pub(crate) mod forms;
#[cfg(test)]
pub(crate) mod fuzz;
pub(crate) mod input;
pub(crate) mod language;
pub(crate) mod ledger;
pub(crate) mod lint;
pub(crate) mod message;
pub(crate) mod protocol;
pub(crate) mod quota;
pub(crate) mod reconcile;
pub(crate) mod records;
pub(crate) mod run;
pub(crate) mod schedule;
pub(crate) mod simulator;
pub(crate) mod web;
pub(crate) mod worker;
pub(crate) mod zones;

// What the binary calls, and what the integration tests and the benchmarks are given.
pub use cli::main;
pub use client::{
    CallError, Client, FailureClass, GroupRole, InProcessService, Member, Recall, RecallResult, SendReceipts,
    ServiceResponse, Thumbnail, Upload, agora_token,
};
pub use clock::{Clock, Instant, TurnOrder};
pub use config::{
    AgoraLogin, AlertFormat, AlertKind, AlertSettings, App, AppFlags, AppLimits, Credentials, Environment,
    HostRoles, Permissions, Project, RecordSettings, ScriptLimits, ServeSettings, Settings, Timeouts,
};
pub use core::{
    Actor, ActorKind, BroadcastCommand, BroadcastStage, Call, Door, FailureKind, HistoryZone, InDoubtPolicy,
    JobState, MessageCap, OutputStream, Priority, RecipientState, SendOptions, TokenRole, UploadOptions,
};
pub use daemon::{
    Alert, AlertSender, AlertSubject, AlertText, DaemonEvent, DaemonSetup, DaemonSignal, LoadedJob,
    Rehearser, ScriptLoader, ScriptRegistry, ScriptStatus, ScriptWatcher, SettingsReload, serve,
};
pub use delivery::{
    BroadcastProgress, BroadcastSummary, Delivery, DriveEnd, DriveResult, LEASE, LazyLedger, SendCounters,
    SendCounts, SendableFile, WaitReason,
};
pub use language::Language;
pub use ledger::{
    Activity, AppId, ApprovalResult, BY_ITSELF, BeginSendResult, Broadcast, BroadcastFilter, BroadcastId,
    BroadcastLookup, EndedRun, Instance, JobRunAction, Lease, Ledger, LedgerError, LedgerLocation,
    NewActivity, NewJobRun, NewMessage, NewOutput, NewRecipient, NewSend, OutputWrite, QuotaClaim, Recipient,
    RecipientOutcome, SendFilter, SendOutcome, StoredSpec, VerifiedState,
};
pub use lint::Linter;
pub use message::{MessageKind, MessageLimits, body_fields, check, fields};
pub use protocol::LuaSource;
pub use quota::{LentSlots, PermitOutcome, Quota, QuotaPeriod, QuotaSettings, Quotas, SendHistory};
pub use reconcile::{Ask, Outlook};
pub use records::{
    BadLine, CLOCK_SKEW_MS, COMPLETE_AFTER_MS, CallbackEvent, CallbackKind, Doubt, DoubtState, Fingerprint,
    HistoryEnd, HistoryFile, HistoryReader, HistorySummary, Hour, KEPT_MS, MARK_BYTES, MatchKey,
    MessageRecord, RecordError, RecordSighting, SignatureCheck, SignedFields, UnsettledReason, hours_of,
    settle,
};
pub use run::{Interrupt, PreparedRun, RunBuilder, RunEnd, RunError, ScriptOutput};
pub use schedule::{TextPattern, run_name};
pub use simulator::{
    AgoraApp, CallbackSettings, FaultPlan, HistorySettings, HourZone, RateCounting, RecordMode,
    SimulatedResponse, Simulator, SimulatorLimits, SimulatorSettings, SimulatorTime, TargetedBy, UserEvent,
};
