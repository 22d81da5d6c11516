//! The other end of the pipe.

pub mod files;
pub mod outbound;
pub mod variables;
