//! The one integration test binary: a file a feature.

mod hostile;
mod simulator;
mod support;
