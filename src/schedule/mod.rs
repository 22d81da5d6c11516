//! When jobs run.
//!
//! May import: `protocol`.

mod job;

pub use job::{Job, Missed, Overlap, Problem};
