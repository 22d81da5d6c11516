//! The fake service: the other side's reading of the contract, for newcomers without an app key, for rehearsals and
//! for tests.
//!
//! It reads raw JSON by its own reading of the vendor's error tables, counts calls and messages in any of the four
//! ways a service may, fails by plan, and answers what it received. It shares no check and no type with the rest, so
//! that a misreading on one side shows on the other. Even its time is a parameter: a [`Time`].
//!
//! [`Simulator::handle`] is the whole service as a plain function without a network; [`Simulator::serve`] puts it on
//! a listener. A request passes, in this order: path (404), method (405), the faults before acceptance, token (401),
//! call rate (429), size (413) and kind (415) of the body, the fields in the order of the vendor's tables (400),
//! message rate (403), acceptance, and the faults after it. Under `/_sim` it tells what it received; see
//! [`Simulator::handle`].
//!
//! May import: nothing of the house.

mod answer;
mod compact;
mod count;
mod exchange;
mod fault;
mod fields;
mod files;
mod http;
mod inspect;
mod latency;
mod line;
mod lists;
mod recall;
mod record;
mod refusal;
mod route;
mod send;
mod service;
mod settings;
mod shape;
mod stats;
mod time;
mod token;

pub use answer::SimulatedResponse;
pub use count::RateCounting;
pub use fault::{FaultPlan, ParseFaultError};
pub use latency::{Latency, ParseLatencyError};
pub use record::{ReceivedMessage, RecordMode};
pub use route::ServiceCall;
pub use service::Simulator;
pub use settings::{SimulatorLimits, SimulatorSettings, TargetedBy};
pub use stats::Stats;
pub use time::SimulatorTime;
