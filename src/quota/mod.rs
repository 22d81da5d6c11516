//! Permits that keep every call within the rate that the service grants an app.
//!
//! The service does not say how it counts: by the second of the wall clock, by that second with refused calls counted
//! too, by a sliding second, or with a token bucket. One rule is safe under all four: **a message takes one of N slots
//! from its permit until one second after the latest instant at which it can have arrived** (N: messages a second;
//! `window_slots` has the proof). A quota over a minute is the same with a minute in place of the second. A call that two
//! quotas limit, one by its messages and one as a call, takes a permit of each. Above the slots come, in this order: a schedule that spaces permits evenly, an
//! adaptive pace that yields to the app's own backend, and a fixed rate limit.
//!
//! - `window_slots`: the window guard, with the proof that no second holds more than N messages;
//! - `round_trips`: recent round trips to the service, from which the guard computes how long a slot is held;
//! - `schedule`: even spacing by scheduled instants, caught up in small batches when a timer fires late;
//! - `pace`: goes down after a throttled answer, and up by tries;
//! - `ceiling`: the fixed rate limit (governor);
//! - `queue`: three priorities that share one quota;
//! - `shared`: the slots that a process needs of a quota shared with other processes, and the slots lent to it;
//! - `engine`: all of these behind one lock; `permit`, `acquire`: the interface.

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

pub use acquire::Quota;
pub use permit::{Permit, PermitOutcome};
pub use quotas::Quotas;
pub use settings::{QuotaPeriod, QuotaSettings, SendHistory};
pub use shared::Demand;
pub use status::{QueueStatus, QuotaStatus};
pub use window_slots::LentSlots;
