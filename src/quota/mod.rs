//! Pacing: permits that keep every call within the rate the service grants an app.
//!
//! How the service counts is not known: by the second of the wall clock, by that with refused calls counted too, by
//! a sliding second, or with a token bucket. One rule is safe under all four: **a message takes one of N places from
//! its permit until one second after the latest instant at which it can have arrived** (N: messages a second; `places` has the
//! proof). Above the places stand, in this order: a schedule that spaces permits evenly, an
//! adaptive pace that yields to the app's own backend, and governor as the fixed ceiling.
//!
//! - `places`: the window guard, with the proof that no second holds more than N messages;
//! - `round_trips`: what is known of the way to the service, from which the guard learns how long a place is held;
//! - `schedule`: even spacing by scheduled instants, caught up in small batches when a timer wakes late;
//! - `pace`: lowers after a throttled answer, goes up by tries;
//! - `ceiling`: governor;
//! - `queue`: three priorities that share one quota;
//! - `shared`: what a process needs of a quota that others draw on too, and what it is lent of it;
//! - `engine`: all of these behind one lock; `permit`, `acquire`: the way in.
//!
//! May import: `clock`, `config`.

mod acquire;
mod ceiling;
mod engine;
mod forecast;
mod pace;
mod permit;
mod queue;
mod quotas;
mod round_trips;
mod schedule;
mod settings;
mod shared;
mod status;
mod tally;
mod window_slots;

#[cfg(test)]
pub(crate) mod tests;

pub use acquire::{CostTooHighError, Quota};
pub use permit::{Permit, PermitOutcome};
pub use queue::Priority;
pub use quotas::Quotas;
pub use settings::{GROUPS_A_CALL, PastSend, QuotaSettings, SendHistory};
pub use shared::Demand;
pub use status::{QueueStatus, QuotaStatus, Waiter};
pub use window_slots::LentSlots;
