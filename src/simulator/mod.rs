//! The simulated service: an independent implementation of the contract for users without an app key, for rehearsals
//! and for tests.
//!
//! It parses raw JSON by its own reading of the vendor's error tables, counts calls and messages in each of the four
//! ways that a service may use, fails by plan, and reports what it received. It shares no check and no type with the
//! other modules, so that a mistake on one side is visible on the other. Even its time is a parameter: a
//! [`SimulatorTime`].
//!
//! [`Simulator::handle`] is the whole service as a plain function without a network; [`Simulator::serve`] runs it on
//! a listener. The checks of a request have this order: path (404), method (405), the faults before acceptance, token
//! (401), call rate (429), size (413) and media type (415) of the body, the fields in the order of the vendor's
//! tables (400), message rate (403), acceptance, and the faults after it. The paths under `/_sim` report what the
//! service received; see [`Simulator::handle`].
//!
//! It takes what the service was seen to take from other clients: bodies of any media type, whole numbers written as
//! fractions, a multipart boundary named twice. With [`SimulatorSettings::strict`] it takes what the vendor's page allows.
//!
//! What comes after a send is played too: callbacks to the app's server, history files, edits, recalls and read
//! receipts, with the losses that a [`FaultPlan`] gives them.

mod agora;
mod announce;
mod answer;
mod body;
mod callback;
mod chat;
mod compact;
mod corrupt;
mod count;
mod exchange;
mod fault;
mod fields;
mod files;
mod groups;
mod history;
mod http;
mod inject;
mod inspect;
mod latency;
mod line;
mod lists;
mod old_send;
mod page;
mod payload;
mod recall;
mod record;
mod refusal;
mod rewrite;
mod route;
mod send;
mod service;
mod settings;
mod shape;
mod stats;
mod thumbnail;
mod time;
mod token;

pub use agora::AgoraApp;
pub use answer::SimulatedResponse;
pub use callback::CallbackSettings;
pub use count::RateCounting;
pub use fault::{FaultPlan, ParseFaultError};
pub use history::{HistorySettings, HourZone};
pub use inject::{UnknownMessageError, UserEvent};
pub use latency::Latency;
pub use record::{ReceivedMessage, RecordMode};
pub use route::ServiceCall;
pub use service::Simulator;
pub use settings::{SimulatorLimits, SimulatorSettings, TargetedBy};
pub use stats::Stats;
pub use time::SimulatorTime;
